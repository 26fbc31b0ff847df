"""gsl convert, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import ConfigError
from tests.gconstruct.convert.examples import GCONSTRUCT, training


def test_convert_writes_a_pipeline_and_reports(tmp_path: Path) -> None:
    (tmp_path / "books.json").write_text(json.dumps(GCONSTRUCT))
    (tmp_path / "nc.yaml").write_text(
        yaml.safe_dump(training(node_classification={"target_ntype": "book", "label_field": "genre"}))
    )
    output = tmp_path / "pipeline.yaml"
    command = ["convert", str(tmp_path / "books.json"), str(tmp_path / "nc.yaml"), "-o", str(output)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    for part in ("keys have a counterpart", "no counterpart: gsf.basic.backend", "differs: nodes[0]", "wrote"):
        assert part in done.output
    pipeline = load_pipeline(output)
    assert (pipeline.name, pipeline.task.row_type) == ("books", "book")
    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, ConfigError)
    assert CliRunner().invoke(app, [*command, "--force", "--quiet"]).output == ""


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "books.json").write_bytes(b"\xff")
    for name, message in (
        ("boks.json", "must be a file that can be read (No such file or directory). Did you mean 'books.json'?"),
        ("none", "must be a file that can be read (No such file or directory). Check the path"),
        ("books.json", "must be a text file in UTF-8. Give GraphStorm's JSON or YAML"),
    ):
        failed = CliRunner().invoke(app, ["convert", str(tmp_path / name), "-o", str(tmp_path / "pipeline.yaml")])
        assert str(failed.exception) == f"{tmp_path / name}: {message}"
