"""Files that were touched, copied or changed since a graph was built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph, fingerprint, input_record, is_current
from gconstruct.input_record import RECORD
from graphstorm_like.config.graph import GraphConfig

from .tables import graph, item, write


@pytest.fixture
def config(tmp_path: Path) -> GraphConfig:
    """Of a graph that was built of items.parquet."""
    write(tmp_path / "items.parquet", id=["a", "b"])
    made = graph(tmp_path, {"item": item()})
    build_graph(made)
    return made


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose contents are read, from now on."""
    names: list[str] = []

    def counting(path: Path) -> str:
        names.append(path.name)
        return real(path)

    real: Any = input_record.file_hash
    monkeypatch.setattr(input_record, "file_hash", counting)
    input_record._content_of.cache_clear()
    return names


def touch(path: Path, seconds: int) -> None:
    """Another mtime, and nothing else."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + seconds * 10**9))


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_touched_file_makes_no_graph_stale(tmp_path: Path, partitions: int) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"])
    config = graph(tmp_path, {"item": item()})
    config = config.model_copy(update={"partitions": config.partitions.model_copy(update={"count": partitions})})
    manifest = build_graph(config)
    touch(tmp_path / "items.parquet", 100)
    assert is_current(config)
    assert fingerprint(config) == manifest.fingerprint
    lines: list[str] = []
    build_graph(config, progress=lines.append)
    assert lines == [f"{tmp_path / 'out' / 'graph'} is up to date"]


def test_contents_are_read_once_for_each_new_mtime(tmp_path: Path, config: GraphConfig, hashed: list[str]) -> None:
    assert is_current(config)
    assert hashed == []
    touch(tmp_path / "items.parquet", 100)
    build_graph(config)
    input_record._content_of.cache_clear()  # as in another process
    assert is_current(config)
    assert hashed == ["items.parquet"]
    touch(tmp_path / "items.parquet", -100)
    assert is_current(config)
    assert hashed == ["items.parquet"]


def test_other_contents_of_the_same_size_are_a_change(tmp_path: Path, config: GraphConfig) -> None:
    size = (tmp_path / "items.parquet").stat().st_size
    write(tmp_path / "items.parquet", id=["a", "c"])
    touch(tmp_path / "items.parquet", 100)
    assert (tmp_path / "items.parquet").stat().st_size == size
    assert not is_current(config)


@pytest.mark.parametrize("content", [None, "", "[]", '{"files": {"x": {"size": 1}}}', '{"files": 3}', "\xff"])
def test_without_a_record_size_and_mtime_count(tmp_path: Path, config: GraphConfig, content: str | None) -> None:
    record = tmp_path / "out" / "graph" / RECORD
    record.unlink()
    if content is not None:
        record.write_text(content, encoding="latin-1")
    assert is_current(config)
    touch(tmp_path / "items.parquet", 100)
    assert not is_current(config)


def test_the_record_does_not_tell_where_the_tables_were(tmp_path: Path, config: GraphConfig) -> None:
    assert str(tmp_path) not in (tmp_path / "out" / "graph" / RECORD).read_text(encoding="utf-8")


def test_a_graph_folder_that_cannot_be_written_to_is_up_to_date_all_the_same(
    tmp_path: Path, config: GraphConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, content: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    touch(tmp_path / "items.parquet", 100)
    monkeypatch.setattr(input_record, "write_json", refused)
    lines: list[str] = []
    build_graph(config, progress=lines.append)
    assert lines == [f"{tmp_path / 'out' / 'graph'} is up to date"]
