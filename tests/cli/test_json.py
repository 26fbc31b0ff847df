"""--json: one JSON value on standard output, with keys that scripts may rely on (docs/guide/scripts.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.testing.graphs import shop_pipeline

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "scripts.md"


def asked(*arguments: str, code: int = 0) -> dict[str, Any]:
    """The answer, which must be all that standard output holds."""
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == code, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def documented(verb: str) -> set[str]:
    """The keys that the guide promises for a verb."""
    (row,) = (line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{verb}` |"))
    return {key.strip(" `") for key in row.split("|")[2].split(",")}


@pytest.fixture
def pipeline(shop: tuple[Path, Path], tmp_path: Path) -> str:
    data = shop_pipeline(shop[0], tmp_path / "run")
    data["graph"]["path"] = str(shop[1])
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return str(path)


def test_what_is_shown(pipeline: str) -> None:
    graph = asked("show", "graph", pipeline)
    assert set(graph) == documented("show graph")
    assert graph["nodes"]["item"]["count"] == 240
    assert graph["nodes"]["item"]["labels"]["kind"]["classes"] == ["book", "game", "tool"]
    assert {edge["type"] for edge in graph["edges"] if not edge["reverse"]} == {"user:buys:item", "item:similar:item"}
    batch = asked("show", "batch", pipeline)
    assert set(batch) == documented("show batch")
    assert batch["seeds"] == {"item": 32}
    assert batch["steps"][-1]["step"] == "forward and backward"
    plan = asked("show", "plan", pipeline)
    assert set(plan) == documented("show plan")
    states = {stage["stage"]: stage["state"] for stage in plan["stages"]}
    assert states == {"construct": "up to date", "train": "to do", "evaluate": "to do", "infer": "to do"}
    assert set(asked("show", "config", pipeline)) == documented("show config")
    assert set(asked("show", "partitions", pipeline)) == documented("show partitions")


def test_machine_and_checks(pipeline: str) -> None:
    machine = asked("doctor")
    assert set(machine) == documented("doctor")
    assert "tensorboard" in {extra["module"] for extra in machine["extras"]}
    good = asked("validate", pipeline)
    assert set(good) == documented("validate")
    assert good["valid"]
    bad = asked("validate", pipeline, "train.epoch=1", "seed=-1", code=2)
    assert not bad["valid"]
    assert len(bad["problems"]) == 2
    assert any("Did you mean 'epochs'?" in problem for problem in bad["problems"])
