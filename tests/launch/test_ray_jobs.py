"""Submission by the Ray Jobs API: the request, and jobs on a real cluster of two simulated nodes; Ray Data's recipe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.launchers.ray_jobs import _Output
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model

ROOT = Path(__file__).parents[2]


def submission(yaml_file: Path, address: str, *more: str) -> list[str]:
    return ["launch", str(yaml_file), "--on", "ray", "--address", address, *more]


def test_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_shop_pipeline(tmp_path)
    monkeypatch.setenv("TOKEN", "a secret")
    job = "launch.job={folder: .., exclude: ['*.csv'], pip: [six], env: {TOKEN: null, A: b}}"
    result = CliRunner().invoke(
        app, submission(file, "http://head:8265", "cache=/shared/my cache", job, "--print", "--fresh")
    )
    assert result.exit_code == 0, result.output
    request = json.loads(result.output)
    assert request["address"] == "http://head:8265"
    inside = f"{tmp_path.name}/pipeline.yaml"
    assert request["entrypoint"].startswith(f"python -m graphstorm_like.cli.main launch {inside} ")
    assert request["entrypoint"].endswith(
        f" output={tmp_path}/run 'cache=\"/shared/my cache\"' launch.address=auto --fresh"
    )
    assert request["runtime_env"] == {
        "working_dir": str(tmp_path.parent),
        "excludes": [f"/{tmp_path.name}/run/", "*.csv"],
        "pip": ["six"],
        "env_vars": {"TOKEN": "<$TOKEN of this shell>", "A": "b"},
    }


def test_what_is_refused(tmp_path: Path) -> None:
    file = write_shop_pipeline(tmp_path)

    def answer(*more: str) -> str:
        result = CliRunner().invoke(app, submission(file, "http://127.0.0.1:9", *more))
        assert result.exit_code != 0
        return str(result.output) + str(result.exception)

    assert "launch.job.env.GSL_UNSET: must be set in this shell" in answer("launch.job.env={GSL_UNSET: null}")
    assert "launch.job.folder: must be a folder in which the pipeline's YAML lies" in answer("launch.job.folder=run")
    run = CliRunner().invoke(app, ["run", str(file), "launch={on: ray, address: 'http://127.0.0.1:9'}"])
    assert "gsl launch PIPELINE --on ray --address http://127.0.0.1:9" in str(run.output) + str(run.exception)


def test_a_second_connection_repeats_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output = _Output()
    for connection in (["ab", "cd"], ["a", "bcde", "f"], [], ["abcdef"]):
        output.begin()
        for text in connection:
            output.add(text)
    assert capsys.readouterr().out == output.tail() == "abcdef"


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, str]]:
    """(address, URL of the dashboard) of two nodes of 2 CPUs, which are stopped afterwards."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # the jobs' `python`
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": 2, "include_dashboard": True, "dashboard_port": free_port()}
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(num_cpus=2)
            yield cluster.address, f"http://{cluster.head_node.webui_url}"
        finally:
            cluster.shutdown()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
@pytest.mark.ray
def test_unreachable(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    file = write_shop_pipeline(tmp_path)
    result = CliRunner().invoke(app, submission(file, f"http://127.0.0.1:{free_port()}"))
    text = str(result.output) + str(result.exception)
    assert result.exit_code != 0
    assert "launch.address: must be the URL of a Ray cluster's dashboard that can be reached" in text
    assert "no connection" in text


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.ray
def test_jobs_on_two_nodes(cluster: tuple[str, str], tmp_path: Path) -> None:
    """The first job trains on both nodes, from a copy of the folder; the second one fails."""
    sent, shared = tmp_path / "sent", tmp_path / "shared"
    file = write_shop_pipeline(sent)
    settings = yaml.safe_load(file.read_text())
    settings["graph"]["base"], settings["output"] = "tables", str(shared / "run")
    settings["graph"]["partitions"] = {"count": 2}
    settings["launch"] = {"on": "ray", "address": cluster[1], "hosts": 2, "cpus": 1.0, "timeout_seconds": 180.0}
    file.write_text(yaml.safe_dump(settings))
    done = CliRunner().invoke(app, ["launch", str(file), "report=false", "train.epochs=1"])
    assert done.exit_code == 0, done.output
    assert "epoch 1" in done.output
    assert "has succeeded" in done.output
    assert (shared / "run" / "infer").is_dir()
    assert not (sent / "run").exists()
    logs = shared / "run" / "logs" / "attempt-0"
    assert {path.name for path in logs.glob("trainer-*")} == {"trainer-h0-0.log", "trainer-h1-0.log"}

    other = ["graph.nodes.item.files=lost.parquet", f"output={shared}/other"]
    failed = CliRunner().invoke(app, ["launch", str(file), *other])
    assert isinstance(failed.exception, LaunchError), failed.output
    assert failed.exception.exit_code == 3
    assert "must run to its end, but ended with status 3. Its last lines:" in str(failed.exception)
    assert "lost.parquet" in str(failed.exception)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.ray
def test_vectors_by_ray_data(cluster: tuple[str, str], tmp_path: Path) -> None:
    """By two actors; equal to those that this process computes."""
    import torch

    from graphstorm_like.config.text_encoders import HuggingFaceConfig
    from graphstorm_like.text.encoders import TEXT_ENCODERS

    model = tiny_text_model(tmp_path / "model")
    texts = [f"blue item {i % 7} of {i}" for i in range(198)] + ["", None]
    table = pa.table({"key": [f"k{i}" for i in range(200)], "title": texts, "other": list(range(200))})
    (tmp_path / "tables").mkdir()
    for number in range(2):
        pq.write_table(table.slice(number * 100, 100), tmp_path / "tables" / f"{number}.parquet")
    command = [sys.executable, "inference/embed_ray.py", f"{tmp_path}/tables/*.parquet", f"{tmp_path}/vectors"]
    command += [
        "--id",
        "key",
        "--text",
        "title",
        "--model",
        str(model),
        "--max-tokens",
        "16",
        "--batch",
        "64",
        "--dtype",
        "float32",
    ]
    done = subprocess.run([*command, "--address", cluster[0]], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted((tmp_path / "vectors").glob("*.parquet"))
    found = pa.concat_tables(pq.read_table(path) for path in files).combine_chunks()
    assert found.schema.names == ["id", "embedding"]
    rows = dict(zip(found["id"].to_pylist(), found["embedding"].to_pylist(), strict=True))
    assert set(rows) == set(table["key"].to_pylist())
    assert len(found) == 200
    config = HuggingFaceConfig(name=str(model), max_tokens=16, dtype="float32")
    expected = TEXT_ENCODERS.of(config)(config, torch.device("cpu")).vectors(table["title"].combine_chunks())
    computed = [rows[f"k{i}"] for i in range(200)]
    np.testing.assert_allclose(computed, expected, rtol=1e-3, atol=1e-4)  # a unit in the last place of float16
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "out: must be a new folder" in refused.stderr
