"""A task that a plug-in brings is checked, trained, scored, written and shown like the library's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from graphstorm_like.testing.graphs import write_shop_pipeline

EXTEND = Path(__file__).parents[2] / "training_scripts" / "extend"


def gsl(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "graphstorm_like.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_a_task_of_ones_own(tmp_path: Path) -> None:
    path = write_shop_pipeline(tmp_path)
    shutil.copy(
        Path(__file__).parents[2] / "training_scripts" / "extend" / "task_popularity.py",
        tmp_path / "task_popularity.py",
    )
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data["plugins"] = ["./task_popularity.py"]
    data["task"] = {"type": "popularity", "edge_type": "user:buys:item", "metrics": ["mae", "r2"]}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    refused = gsl("validate", str(path), "task.edge_type=user:bys:item")
    assert refused.returncode == 2
    assert "task.edge_type" in refused.stderr
    assert "'user:buys:item'" in refused.stderr
    run = gsl("run", str(path))
    assert run.returncode == 0, run.stderr
    scores = json.loads((tmp_path / "run" / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    assert {split: set(own) for split, own in scores.items()} == {"valid": {"mae", "r2"}, "test": {"mae", "r2"}}
    table = pq.read_table(tmp_path / "run" / "infer" / "predictions")
    assert table.column_names == ["id", "popularity"]
    assert len(table) == 240
    shown = gsl("show", "batch", str(path))
    assert shown.returncode == 0, shown.stderr
    assert "popularity of 32 nodes" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["node", "edge"])
def test_a_task_of_ones_own_is_packed_applied_and_served(tmp_path: Path, name: str) -> None:
    """It says no more of itself than `gsl infer` needs; answers are the rows that infer writes."""
    program = [sys.executable, "-m", "tests.extend.served", str(tmp_path), name]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, cwd=EXTEND.parents[1], check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    outcome = json.loads(done.stdout.splitlines()[-1])
    column = "popularity" if name == "node" else "gap"
    inferred = outcome["inferred"]
    assert len({row[column] for row in inferred}) > 10, "else equal numbers say nothing"
    assert [row[column] for row in outcome["applied"]] == pytest.approx([row[column] for row in inferred], abs=1e-5)
    known, new = outcome["known"]["predictions"], outcome["new"]["predictions"]
    assert [{**row, column: None} for row in known] == [{**row, column: None} for row in inferred[3:8]]
    assert [row[column] for row in known] == pytest.approx([row[column] for row in inferred[3:8]], abs=1e-5)
    assert len(new) == 1
    keys = ("new",) if name == "node" else (inferred[3]["source"], inferred[7]["target"])
    assert tuple(value for key, value in new[0].items() if key != column) == keys
    assert isinstance(new[0][column], float)
