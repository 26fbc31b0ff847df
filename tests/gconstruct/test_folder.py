"""A graph folder appears whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gconstruct import build_graph, is_current
from gconstruct.write import file_names
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.files import SET_ASIDE, new_folder
from graphstorm_like.graph.schema import read_manifest

from .tables import fail_at_batches, graph, item, link, write


@pytest.fixture
def config(tmp_path: Path) -> GraphConfig:
    write(tmp_path / "items.parquet", id=["a", "b"])
    write(tmp_path / "links.parquet", source=["a"], target=["b"])
    return graph(tmp_path, {"item": item()}, [link()])


def left(folder: Path) -> list[str]:
    """What lies in out/, hidden entries too."""
    entries = (folder / "out").iterdir() if (folder / "out").exists() else []
    return sorted(p.name for p in entries if p.suffix != ".checked")  # which graph files have been looked at


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("when", [1, 2, 5])
def test_nothing_is_left_when_writing_fails(
    error: type[BaseException], when: int, config: GraphConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_batches(when, error(), monkeypatch)
    with pytest.raises(error):
        build_graph(config)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["items.parquet", "links.parquet"]


def test_an_error_of_the_disk_is_told(config: GraphConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at_batches(2, OSError(28, "No space left on device"), monkeypatch)
    with pytest.raises(DataError) as caught:
        build_graph(config)
    path = tmp_path / "out" / "graph"
    assert str(caught.value) == (
        f"{path}: the graph folder must be writable (got No space left on device: {path}). "
        "Check the disk and its permissions, or set graph.path to another folder"
    )
    assert left(tmp_path) == []


def test_the_old_graph_stays_when_the_new_one_fails(
    config: GraphConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = build_graph(config)
    with monkeypatch.context() as patch:
        fail_at_batches(3, RuntimeError(), patch)
        with pytest.raises(RuntimeError):
            build_graph(config, force=True)
    assert left(tmp_path) == ["graph"]
    assert is_current(config)
    assert build_graph(config) == old


def test_a_rename_that_fails_brings_the_old_folder_back(
    config: GraphConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_graph(config)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if ".tmp-" in self.name:
            raise PermissionError(13, "Permission denied", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(DataError, match="must be writable"):
        build_graph(config, force=True)
    assert left(tmp_path) == ["graph"]
    assert is_current(config)


def test_a_kill_between_the_renames_is_recovered_from(config: GraphConfig, tmp_path: Path) -> None:
    manifest = build_graph(config)
    path = tmp_path / "out" / "graph"
    path.rename(path.parent / f"{SET_ASIDE}graph")
    assert build_graph(config) == manifest
    assert left(tmp_path) == ["graph"]
    # Killed after the second rename: both are there, and the new one counts.
    (path.parent / f"{SET_ASIDE}graph").mkdir()
    build_graph(config)
    assert left(tmp_path) == ["graph"]


def test_a_killed_build_leaves_no_graph_and_the_next_one_tidies_up(config: GraphConfig, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from gconstruct import build_graph\n"
        "from gconstruct.engines.arrow import sort\n"
        "from graphstorm_like.config.graph import GraphConfig\n"
        "sort.Pointers = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build_graph(GraphConfig.model_validate_json(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, config.model_dump_json()], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [name[:11] for name in left(tmp_path)] == [".graph.tmp-"]
    assert not is_current(config)
    build_graph(config)
    assert left(tmp_path) == ["graph"]


def test_the_folder_of_a_build_that_still_runs_is_left_alone(config: GraphConfig, tmp_path: Path) -> None:
    running = tmp_path / "out" / f".graph.tmp-{socket.gethostname()}-{os.getppid()}"
    other_host = tmp_path / "out" / ".graph.tmp-elsewhere-1"
    for path in (running, other_host):
        path.mkdir(parents=True)
    build_graph(config)
    assert left(tmp_path) == sorted([running.name, other_host.name, "graph"])


def test_folders_that_are_no_graph_are_never_replaced(config: GraphConfig, tmp_path: Path) -> None:
    path = tmp_path / "out" / "graph"
    path.mkdir(parents=True)
    build_graph(config)  # an empty one is
    (path / "graph.json").unlink()
    with pytest.raises(DataError, match="must be a graph folder or not exist yet"):
        build_graph(config, force=True)
    assert (path / "part-0").is_dir()


def test_a_link_stays_a_link(config: GraphConfig, tmp_path: Path) -> None:
    (tmp_path / "big_disk").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "graph").symlink_to(tmp_path / "big_disk")
    manifest = build_graph(config)
    build_graph(config, force=True)
    assert (tmp_path / "out" / "graph").is_symlink()
    assert read_manifest(tmp_path / "big_disk") == manifest
    assert left(tmp_path) == ["graph"]


def test_a_broken_manifest_is_built_anew(config: GraphConfig, tmp_path: Path) -> None:
    manifest = build_graph(config)
    (tmp_path / "out" / "graph" / "graph.json").write_text("{}")
    assert not is_current(config)
    assert build_graph(config) == manifest


def test_new_folders_come_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "b") as path:
        (path / "x").write_text("x")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "x").read_text() == "x"


def test_file_names_are_safe_and_unique() -> None:
    names = [("a-b",), ("a.b",), ("Item",), ("item",), ("a", "b--c", "d"), ("a", "b", "c.indptr")]
    assert list(file_names(names).values()) == [
        "a%2Db.arrow",
        "a%2Eb.arrow",
        "Item.arrow",
        "item~2.arrow",
        "a--b%2D%2Dc--d.arrow",
        "a--b--c%2Eindptr.arrow",
    ]
