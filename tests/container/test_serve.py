"""The program of an endpoint's container starts `gsl serve` with options that it has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from graphstorm_like.cli.main import app
from graphstorm_like.deploy.model import Model
from tests.deploy.conftest import Packed
from tests.serve.test_server import Server, free_port

SERVE = Path(__file__).parents[2] / "sagemaker/serve"


def test_the_model_is_served_where_sagemaker_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gsl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gsl").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SM_ROOT": str(tmp_path)}
    done = subprocess.run([SERVE, "serve"], env=environment, capture_output=True, text=True, check=True)
    verb, *words = done.stdout.split()
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    (tmp_path / "model").mkdir()
    told = command.make_context(verb, [*words]).params
    assert (told["model"], told["host"], told["port"]) == (tmp_path / "model", "0.0.0.0", 8080)
    assert told["graph"] == str(tmp_path / "model/graph-data")
    monkeypatch.setenv("GSL_TIMEOUT", "600")
    assert command.make_context(verb, [*words]).params["seconds"] == 600.0, "what a transform job sets"


@pytest.mark.slow
def test_a_transform_job_is_answered(make_packed: Any, tmp_path: Path) -> None:
    """Under an emulated /opt/ml, with the graph behind a URL: what a transform job asks, and what it sends."""
    packed: Packed = make_packed("link_prediction")
    shutil.copytree(packed.folder, tmp_path / "model")
    port = free_port()
    told = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SM_ROOT": str(tmp_path),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "GSL_GRAPH": f"local://{packed.graph}",
        "GSL_UNKNOWN": "mean",
        "XDG_CACHE_HOME": str(tmp_path / "home"),
    }
    server = Server(command=[str(SERVE), "serve"], port=port, environment={**os.environ, **told})
    try:
        server.wait()
        assert server.get("/ping")[0] == 200
        assert json.loads(server.get("/execution-parameters")[1])["BatchStrategy"] == "MULTI_RECORD"
        sources = packed.tables()["nodes"]["item"]["id"].slice(0, 3).to_pylist()
        wanted = Model.load(packed.folder).links(packed.graph, sources, 10, unknown="mean").to_pylist()
        status, text = server.post("/invocations", "\n".join(sources), "text/csv")
        assert status == 200
        listed = [json.loads(line) for line in text.splitlines()]
        assert [line["source"] for line in listed] == sources
        found = [(line["source"], target["id"]) for line in listed for target in line["targets"]]
        assert found == [(row["source"], row["target"]) for row in wanted]
        pairs = [(row["source"], row["target"]) for row in wanted[:4]]
        status, text = server.post("/invocations", "".join(f"{a},{b}\n" for a, b in pairs), "text/csv")
        scored = [json.loads(line) for line in text.splitlines()]
        assert [(line["source"], line["target"]) for line in scored] == pairs
        assert [line["score"] for line in scored] == pytest.approx([row["score"] for row in wanted[:4]], abs=1e-5)
    finally:
        said = server.end()
    assert "Traceback" not in said, said
