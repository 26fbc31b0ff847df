"""Trains, packs, applies and serves a task of a plug-in, the node task or the edge task; prints what came out as JSON.

A program of its own: what a plug-in registers stays in its process. Arguments: a folder to work in, and the task.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.serve.answers import Answers, Question
from graphstorm_like.serve.worker import Settings, load
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

ROOT = Path(__file__).parents[2]
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "node": ("training_scripts/extend/task_popularity.py", {"type": "popularity", "edge_type": "user:buys:item"}),
    "edge": ("tests/extend/gap_task.py", {"type": "degree_gap", "edge_type": "item:similar:item"}),
}


def gsl(*words: str | Path) -> None:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception


def questions(name: str, applied: list[dict[str, Any]]) -> list[Question]:
    """One about known rows, the first few that were applied, and one about a new row."""
    if name == "node":
        new = {"item": [{"id": "new", "title": "novel", "price": 1.0, "colour": "red"}]}
        return [Question("predict", ids=[row["id"] for row in applied]), Question("predict", nodes=new)]
    pairs = [(row["source"], row["target"]) for row in applied]
    edge = {"source": applied[0]["source"], "target": applied[-1]["target"], "weight": 0.5}
    return [Question("predict", pairs=pairs), Question("predict", edges={"item:similar:item": [edge]})]


def main(folder: Path, name: str) -> None:
    plugin, task = TASKS[name]
    data = shop_pipeline(write_shop(folder / "tables", items=60, users=20), folder / "run")
    data |= {"plugins": [str(ROOT / plugin)], "task": task, "launch": {"threads": 1}, "report": False}
    data["train"]["epochs"] = 1
    data["model"]["inputs"] = {"item": {"text": []}}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    gsl("run", folder / "pipeline.yaml", "--quiet")
    model, graph = folder / "model", folder / "run" / "graph"
    gsl("pack", folder / "run", "-o", model, "--plugins", "--quiet")
    gsl("apply", model, "--graph", graph, "--out", folder / "applied", "--plugins", "--quiet")
    inferred = pq.read_table(folder / "run" / "infer" / "predictions").to_pylist()
    applied = pq.read_table(folder / "applied" / "predictions").to_pylist()
    (folder / "work").mkdir()
    answers: Answers = load(Settings(str(model), str(graph), str(folder / "work"), plugins=True))
    known, new = answers.answer_all(questions(name, inferred[3:8]))
    print(json.dumps({"inferred": inferred, "applied": applied, "known": known, "new": new}, default=repr))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
