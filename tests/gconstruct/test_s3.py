"""Tables in S3: a server with S3's API, asked by s3fs as a real one would be."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph, fingerprint, is_current
from gconstruct.problems import Problems
from gconstruct.tables.read import read_table, stream_table
from graphstorm_like.errors import DataError
from graphstorm_like.mirror import stores

from .readers.formats import WRITERS, plan_of, write_as
from .tables import graph, item, read

s3fs = pytest.importorskip("s3fs")
pytestmark = pytest.mark.aws


def test_every_format(s3: Any, tmp_path: Path) -> None:
    for ending in WRITERS:
        write_as(tmp_path / f"a{ending}", id=["a", "b"], x=[1.5, 2.5])
        s3.put(str(tmp_path / f"a{ending}"), f"bucket/{ending[1:]}/a{ending}")
        problems = Problems()
        plan = plan_of(tmp_path, problems, files=f"s3://bucket/{ending[1:]}/a{ending}", features={"x": "x"})
        whole = read_table(plan, problems)
        streamed = list(stream_table(plan, problems))
        problems.raise_if_any()
        assert whole is not None
        assert whole.data.column("id").to_pylist() == ["a", "b"], ending
        assert streamed[0].data.equals(whole.data), ending
        assert whole.place(1) == (f"s3://bucket/{ending[1:]}/a{ending}", 2)


def test_folders_globs_and_hive(s3: Any, tmp_path: Path) -> None:
    for path in ("items/year=2023/a.csv", "items/year=2024/b.csv", "items/year=2024/_SUCCESS", "items/c/d.csv"):
        s3.pipe(f"bucket/{path}", f"id\n{path}\n".encode())
    s3.pipe("bucket/flat/b.csv.gz", gzip.compress(b"id\nb\n"))
    s3.pipe("bucket/flat/a.csv", b"id\na\n")

    def ids(files: Any) -> list[str]:
        build_graph(graph(tmp_path, {"item": item(files=files)}), force=True)
        found: list[str] = read(tmp_path / "out/graph/part-0/nodes/item.arrow").column("id").to_pylist()
        return found

    assert ids("s3://bucket/flat") == ids("s3://bucket/flat/") == ["a", "b"]
    assert ids("s3://bucket/items/") == ["items/year=2023/a.csv", "items/year=2024/b.csv"]
    assert ids("s3://bucket/**/*.csv") == [
        "a", "items/c/d.csv", "items/year=2023/a.csv", "items/year=2024/b.csv",
    ]  # fmt: skip
    config = graph(tmp_path, {"item": item(files="items", text={"y": {"columns": "year"}})})
    build_graph(config.model_copy(update={"base": "s3://bucket"}), force=True)
    assert read(tmp_path / "out/graph/part-0/nodes/item.arrow").column("text:y").to_pylist() == ["2023", "2024"]


def test_a_changed_object_is_noticed(s3: Any, tmp_path: Path) -> None:
    s3.pipe("bucket/items/a.csv", b"id\na\n")
    config = graph(tmp_path, {"item": item(files="s3://bucket/items")})
    build_graph(config)
    assert is_current(config)
    before = fingerprint(config)
    s3.pipe("bucket/items/a.csv", b"id\nb\n")
    assert fingerprint(config) != before


def told(folder: Path, files: Any) -> str:
    with pytest.raises(DataError) as caught:
        build_graph(graph(folder, {"item": item(files=files)}))
    return str(caught.value)


def test_a_wrong_bucket_and_a_wrong_key(s3: Any, tmp_path: Path) -> None:
    for url in ("s3://no-bucket/a.csv", "s3://bucket/no.csv", "s3://bucket/folder/"):
        assert told(tmp_path, url) == (
            f"graph.nodes.item.files: {url} must be a file, glob or folder that exists (got nothing there). "
            "Check the path; relative ones start at graph.base"
        )
    assert "s3://no-bucket/*.csv must" in told(tmp_path, "s3://no-bucket/*.csv")


def test_no_credentials(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    message = told(tmp_path, "s3://bucket/a.csv")
    assert message.startswith("graph.nodes.item.files: s3://bucket/a.csv must be a URL that can be read (got ")
    assert "redentials" in message
    assert message.endswith(". Check the URL, the credentials and the network")


def test_wrong_credentials(s3: Any, s3_server: str, tmp_path: Path) -> None:
    import urllib.request

    def check_keys_after(actions: int) -> None:
        url, plain = f"{s3_server}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        request = urllib.request.Request(url, str(actions).encode(), plain, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    s3.pipe("bucket/a.csv", b"id\na\n")
    check_keys_after(0)
    try:
        message = told(tmp_path, "s3://bucket/a.csv")
    finally:
        check_keys_after(1 << 30)
    assert message.startswith(
        "graph.nodes.item.files: s3://bucket/a.csv must be a URL that can be read (got Permission"
    )
    assert message.endswith(". Check the URL, the credentials and the network")


def test_a_server_that_does_not_answer(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point_to_s3: Callable[[str, pytest.MonkeyPatch], None]
) -> None:
    """Requests end: five attempts of s3fs, none of botocore."""
    monkeypatch.setattr(stores, "_S3_PATIENCE", {**stores._S3_PATIENCE, "read_timeout": 0.1})
    with socket.socket() as silent, monkeypatch.context() as context:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        point_to_s3(f"http://127.0.0.1:{silent.getsockname()[1]}", context)
        started = time.monotonic()
        message = told(tmp_path, "s3://bucket/a.csv")
        assert time.monotonic() - started < 30
    s3fs.S3FileSystem.clear_instance_cache()
    assert "must be a URL that can be read (got ReadTimeoutError: Read timeout on endpoint URL" in message


def test_an_object_that_vanishes_or_is_damaged(s3: Any, tmp_path: Path) -> None:
    write_as(tmp_path / "a.parquet", id=["a"])
    s3.pipe("bucket/a.parquet", (tmp_path / "a.parquet").read_bytes()[:-8])
    assert told(tmp_path, "s3://bucket/a.parquet") == (
        "s3://bucket/a.parquet: must be a whole Parquet file (got one without a footer). "
        "It was cut off or damaged: write it again"
    )
    s3.put(str(tmp_path / "a.parquet"), "bucket/b.parquet")
    plan = plan_of(tmp_path, files="s3://bucket/b.parquet")
    s3.rm("bucket/b.parquet")
    problems = Problems()
    assert read_table(plan, problems) is None
    assert list(stream_table(plan, problems)) == []
    assert len(problems.messages) == 1
    assert problems.messages[0].startswith("s3://bucket/b.parquet: must be readable (got: ")
