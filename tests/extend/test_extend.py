"""The plug-ins that docs/extend.md shows: each brings an operator of one kind from one file outside the package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXTEND = ROOT / "training_scripts" / "extend"
FILES = sorted(EXTEND.glob("*.py"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every plug-in's pipeline came to, of one process that runs them all."""
    program = [sys.executable, "-m", "tests.extend.runs", str(tmp_path_factory.mktemp("extend"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("encoder", "accuracy", 0.7),
        ("loss", "mrr", 0.03),  # of 240 targets; by chance .025
        ("head", "mrr", 0.03),
        ("negatives", "mrr", 0.03),
        ("metric", "accuracy", 0.7),
        ("transform", "accuracy", 0.6),
        ("text_encoder", "accuracy", 0.9),
        ("image_encoder", "accuracy", 0.9),
        ("phase", "accuracy", 0.7),
        ("partitions", "accuracy", 0.7),
    ],
)
def test_what_a_plug_in_brings_learns(outcomes: dict[str, Any], name: str, metric: str, least: float) -> None:
    assert outcomes[name]["scores"][metric] > least


def test_a_metric_selects_by_its_direction(outcomes: dict[str, Any]) -> None:
    scores = outcomes["metric"]["scores"]
    assert 0.0 < scores["log_loss"] < 1.1, "less than log(3), that of a guess"
    assert re.search(r"best validation log_loss 0\.\d+ in epoch", outcomes["metric"]["lines"])


def test_a_transform_makes_features(outcomes: dict[str, Any]) -> None:
    assert outcomes["transform"]["features"]["price"] == 2


def test_a_partition_method_says_where_nodes_go(outcomes: dict[str, Any]) -> None:
    assert [stop - start for start, stop in outcomes["partitions"]["items"]] == [35, 35, 34, 34, 34, 34, 34]


def test_a_task_writes_its_own_columns(outcomes: dict[str, Any]) -> None:
    assert outcomes["task"]["columns"] == ["id", "popularity"]
    assert outcomes["task"]["rows"] == 240
    assert set(outcomes["task"]["scores"]) == {"mae", "r2"}


def test_a_launcher_runs_in_place_of_ours(outcomes: dict[str, Any]) -> None:
    lines = outcomes["launcher"]["lines"].splitlines()
    assert [line.split(": ")[0] for line in lines] == ["host0", "host1", "host0", "host1"]
    assert all("gsl worker --role" in line for line in lines)


def test_a_tracker_gets_the_numbers(outcomes: dict[str, Any]) -> None:
    numbers = [line.split(",") for line in outcomes["tracker"]["tracked"].splitlines()]
    updates = [int(update) for update, name, _ in numbers if name == "train/loss"]
    assert updates == list(range(1, len(updates) + 1))
    assert [name for _, name, _ in numbers].count("valid/accuracy") == 1


def test_the_docs_show_every_plug_in() -> None:
    page = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    assert [file.name for file in FILES if file.name not in page] == []


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_plug_in_is_short_and_says_how_to_use_it(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert source.count("\n") <= 130
    assert f"plugins: [./{file.name}]" in source
