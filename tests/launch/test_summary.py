"""What `gsl run` ends with, and what is said while nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like import progress
from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.launch.summary import _scores
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline


@pytest.mark.parametrize("active", [True, False], ids=["active", "not active"])
def test_a_run_ends_with_scores_places_and_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, active: bool
) -> None:
    """The printed commands work whether the environment is active or not."""
    programs = str(Path(sys.executable).parent)
    others = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != programs]
    monkeypatch.setenv("PATH", os.pathsep.join([programs, *others] if active else others))
    path = write_shop_pipeline(tmp_path)
    run = ["run", str(path), "train.epochs=1"]
    first = CliRunner().invoke(app, run)
    assert first.exit_code == 0, first.output
    closing = first.output[first.output.index("\nshop: node_classification") :]
    scores = read_scores(load_pipeline(path))
    for metric in ("accuracy", "macro_f1"):
        row = next(line for line in closing.splitlines() if line.startswith(metric))
        assert row.split() == [metric, *(f"{scores[split][metric]:.4f}" for split in ("valid", "test"))]
    for place in ("graph", "train/best", "evaluate/metrics.json", "infer/predictions (240 rows)"):
        assert f"{tmp_path}/run/{place}\n" in closing
    gsl = "gsl" if active else f"{programs}/gsl"
    assert f"  {gsl} show graph {path} train.epochs=1\n" in closing
    again = CliRunner().invoke(app, run)
    assert again.output.endswith(closing)  # also when all is up to date
    assert CliRunner().invoke(app, [*run, "--quiet"]).output == ""
    assert "next:" not in CliRunner().invoke(app, ["evaluate", str(path), "train.epochs=1"]).output
    (command,) = [line.strip() for line in closing.splitlines() if " -c 'import pyarrow" in line]
    rows = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(rows) == 5
    assert all("'prediction'" in row for row in rows)


def test_a_task_without_scores_has_no_table_of_them() -> None:
    assert list(_scores({})) == []
    assert [line.split() for line in _scores({"valid": {"mrr": 0.5}})] == [["metric", "valid"], ["mrr", "0.5000"]]


def test_slow_work_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "STEP_SECONDS", 0.05)
    reporter = Reporter()
    with reporter.step("opening the graph"):
        deadline = time.monotonic() + 10.0
        said = ""
        while "opening the graph ..." not in said:  # while it is being done, not behind it
            assert time.monotonic() < deadline
            time.sleep(0.01)
            said += capsys.readouterr().out
    assert capsys.readouterr().out == "opening the graph: 0 s\n"
    monkeypatch.setattr(progress, "STEP_SECONDS", 60.0)
    with reporter.step("nothing"):
        pass
    assert capsys.readouterr().out == ""


def test_the_start_of_training_is_not_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_shop_pipeline(tmp_path)
    monkeypatch.setattr(progress, "STEP_SECONDS", 0.0)
    CliRunner().invoke(app, ["construct", str(path)])
    output = CliRunner().invoke(app, ["train", str(path), "train.epochs=1"]).output
    named = ["checking files", "loading torch", "opening the graph", "making the model"]
    places = [output.index(words) for words in named]
    assert places == sorted(places)
    assert places[-1] < output.index("epoch 1/1")


def test_show_graph_looks_at_the_files(tmp_path: Path) -> None:
    path = write_shop_pipeline(tmp_path)
    assert CliRunner().invoke(app, ["construct", str(path)]).exit_code == 0
    (file,) = (tmp_path / "run" / "graph").rglob("item.arrow")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for what in (str(path), str(tmp_path / "run" / "graph")):
        refused = CliRunner().invoke(app, ["show", "graph", what])
        assert isinstance(refused.exception, DataError)
        assert "item.arrow" in str(refused.exception)
        assert CliRunner().invoke(app, ["show", "graph", what, "--no-check"]).exit_code == 0
