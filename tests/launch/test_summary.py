"""What `gsl run` ends with, and what is said while nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from graphstorm_like import progress
from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.launch.summary import _scores, summary
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


def test_scores_that_are_too_good_are_said_loudly(tmp_path: Path) -> None:
    """A copy of the label among the inputs: on stderr also with --quiet, in the summary, on top of the report."""
    rng = np.random.default_rng(0)
    label = rng.integers(4, size=2_000)
    table = pa.table({"id": range(2_000), "label": label, "copy": (label * 7 + 1) % 30, "x": rng.normal(size=2_000)})
    pq.write_table(table, tmp_path / "rows.parquet")
    labels = {"label": {"column": "label", "split": {"train": 0.8, "valid": 0.1, "test": 0.1}}}
    features = {"copy": {"column": "copy", "encode": "one_hot"}, "x": "x"}
    node = {"files": "rows.parquet", "id": "id", "features": features, "labels": labels}
    settings = {
        "name": "rows", "output": "run", "graph": {"nodes": {"row": node}}, "train": {"epochs": 8, "lr": 0.02},
        "task": {"type": "node_classification", "node_type": "row", "label": "label"},
        "model": {"gnn": {"type": "none", "hidden": 16}},
    }  # fmt: skip
    path = tmp_path / "pipeline.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    run = CliRunner().invoke(app, ["run", str(path), "--quiet"])
    assert run.exit_code == 0, run.output
    assert "TOO GOOD TO BE TRUE" in run.stderr
    assert "the input 'copy' alone" in run.stderr
    assert "'x'" not in run.stderr
    assert "suspiciously perfect" in run.stderr
    assert "the input 'copy' alone" in "\n".join(summary(load_pipeline(path), [str(path)]))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert page.index("Too good to be true?") < page.index("<h1>")
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["warnings"]
    quiet = CliRunner().invoke(app, ["run", str(path), "--quiet", "graph.on_leak=ignore"])
    assert quiet.exit_code == 0
    assert quiet.stderr == ""
