"""gsl show graph --report: the report of a folder that is there already."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.errors import DataError
from graphstorm_like.testing.graphs import write_shop_pipeline


def test_the_report_of_a_folder_and_of_a_pipeline(tmp_path: Path) -> None:
    runner, yaml = CliRunner(), write_shop_pipeline(tmp_path)
    assert runner.invoke(app, ["construct", str(yaml), "graph.report=false"]).exit_code == 0
    folder = tmp_path / "run" / "graph"
    assert not (folder / "report.html").exists()
    done = runner.invoke(app, ["show", "graph", str(folder), "--report"])
    assert done.output.splitlines()[-1] == str(folder / "report.html")
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    runner.invoke(app, ["show", "graph", str(yaml), "--report", "--no-check"])
    assert (folder / "report.html").read_bytes() == page


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    runner, yaml = CliRunner(), write_shop_pipeline(tmp_path)
    runner.invoke(app, ["construct", str(yaml), "graph.report=false"])
    folder = tmp_path / "run" / "graph"
    (folder / "report.html").mkdir()
    done = runner.invoke(app, ["show", "graph", str(folder), "--report"])
    assert isinstance(done.exception, DataError)
    with pytest.raises(DataError, match="must be a folder that can be written, for the report"):
        raise done.exception
