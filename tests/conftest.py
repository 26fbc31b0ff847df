"""Fixtures that many tests share: a constructed tiny graph, built once."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.progress import LOG_SECONDS
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

from . import verified

os.environ.setdefault(LOG_SECONDS, "0")  # tests wait for the lines of epochs that take no second


_together = verified.Together()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    verified.count_runs(items)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Tests marked `known_answer` must run what they name."""
    if not verified.marked(pyfuncitem):
        return (yield)
    with verified.called() as seen:
        result = yield
    verified.verify(pyfuncitem, seen)
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _together.add(report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput") and _together.wrong():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in _together.wrong():
        terminalreporter.line(f"FAILED {line}", red=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(tables, graph folder) of the tiny shop."""
    from gconstruct import build_graph

    folder = tmp_path_factory.mktemp("shop")
    tables = write_shop(folder / "tables")
    pipeline = build_pipeline(shop_pipeline(tables, folder / "run")).with_absolute_paths(folder)
    build_graph(pipeline.graph)
    assert pipeline.graph.path is not None
    return tables, Path(pipeline.graph.path)


@pytest.fixture
def shop_config(shop: tuple[Path, Path], tmp_path: Path):
    """A function task -> Pipeline over the shop's graph, with an output folder of its own."""

    def make(kind: str = "node_classification", /, **changes: object) -> Pipeline:
        data = shop_pipeline(shop[0], tmp_path / "run", kind)
        data["graph"]["path"] = str(shop[1])
        for key, value in changes.items():
            data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
        return build_pipeline(data).with_absolute_paths(tmp_path)

    return make


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of a server with S3's API."""
    moto_server = pytest.importorskip("moto.server")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def point_to_s3(tmp_path: Path) -> Callable[[str, pytest.MonkeyPatch], None]:
    """A function that lets s3fs, here and in processes that are started, ask an endpoint."""
    s3fs = pytest.importorskip("s3fs")

    def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        s3fs.S3FileSystem.clear_instance_cache()

    return point_to


@pytest.fixture
def s3(
    s3_server: str, point_to_s3: Callable[[str, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """An empty bucket, named 'bucket'; what s3fs finds in the environment leads to the server."""
    s3fs = pytest.importorskip("s3fs")
    point_to_s3(s3_server, monkeypatch)
    fs = s3fs.S3FileSystem()
    if fs.exists("bucket"):  # of another test: moto's servers in one process have the same buckets
        fs.rm("bucket", recursive=True)
    fs.mkdir("bucket")
    yield fs
    fs.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
