"""The program of an endpoint's container starts `gsl serve` with options that it has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import typer

from graphstorm_like.cli.main import app

SERVE = Path(__file__).parents[2] / "sagemaker/serve"


def test_the_model_is_served_where_sagemaker_asks(tmp_path: Path) -> None:
    (tmp_path / "gsl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gsl").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SM_ROOT": str(tmp_path)}
    done = subprocess.run([SERVE, "serve"], env=environment, capture_output=True, text=True, check=True)
    verb, *words = done.stdout.split()
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    (tmp_path / "model").mkdir()
    told = command.make_context(verb, words).params
    assert (told["model"], told["host"], told["port"]) == (tmp_path / "model", "0.0.0.0", 8080)
    assert told["graph"] == tmp_path / "model/graph-data"
