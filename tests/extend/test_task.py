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
