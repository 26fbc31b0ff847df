"""What a machine has after a pull: what was published, or what it had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphstorm_like.errors import DataError, StoreError
from graphstorm_like.files import file_hash
from graphstorm_like.mirror.fetch import entries_come_from, fetch_entry, local_copy
from graphstorm_like.mirror.manifest import held_elsewhere, read_record
from graphstorm_like.mirror.publish import Target
from graphstorm_like.mirror.pull import pull
from graphstorm_like.mirror.transfer import Store

from .stores import files_in, memory, put


def test_only_what_is_wanted_and_the_rest_later(tmp_path: Path) -> None:
    store, local = memory("some"), tmp_path / "local"
    put(store, "a", files_in(tmp_path / "1", done="d", table="t"))
    hashes: dict[str, str | None] = {"table": file_hash(tmp_path / "1/table"), "done": None, "other": None}
    assert pull(Target(store, "a"), local, {"done"}.__contains__)
    assert [path.name for path in local.iterdir()] == ["done"]
    assert held_elsewhere(local, hashes) == {"table"}
    assert held_elsewhere(local, {"table": "another content"}) == set()
    assert pull(Target(store, "a"), local)
    assert (local / "table").read_text() == "t"
    assert held_elsewhere(local, hashes) == set()


def test_local_work_that_has_gone_on_stays(tmp_path: Path) -> None:
    """The machine has come back with its disk; what it had not published yet is not lost, and nothing is mixed into it.
    When another machine has published since, the store counts."""
    store, local = memory("gone-on"), tmp_path / "local"
    put(store, "a", files_in(tmp_path / "1", step="1", done="d"))
    pull(Target(store, "a"), local)
    (local / "step").write_text("2")
    (local / "done").unlink()
    received = store.counts.received
    pull(Target(store, "a"), local)
    assert (local / "step").read_text() == "2"
    assert not (local / "done").exists()
    assert store.counts.received - received < 700, "the manifest only"
    put(store, "a", files_in(tmp_path / "1", step="3", same="s"))
    pull(Target(store, "a"), local)
    assert {path.name: path.read_text() for path in local.iterdir()} == {"step": "3", "same": "s"}


def test_damage_is_named_and_the_local_folder_stays(tmp_path: Path) -> None:
    store, local = memory("damaged"), tmp_path / "local"
    put(store, "a", files_in(tmp_path / "1", x="good", y="good too"))
    local.mkdir()
    (local / "mine").write_text("kept")
    store.fs.pipe_file("/damaged/a/x", b"gaad")
    with pytest.raises(StoreError, match=r"memory://damaged/a/x: must hold what was published \(got 4 bytes of"):
        pull(Target(store, "a"), local)
    assert [path.name for path in local.iterdir()] == ["mine"]
    left_out: list[str] = []
    pull(Target(store, "a"), local, lenient=lambda name, _: not left_out.append(name))
    assert left_out == ["x"]
    assert [path.name for path in local.iterdir()] == ["y"]
    store.fs.pipe_file("/damaged/a/x", b"good")
    store.fs.rm_file("/damaged/a/y")
    with pytest.raises(StoreError, match="must hold all objects that its manifest names"):
        pull(Target(store, "a"), tmp_path / "new")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", "Expecting"),
        (b'{"version": 2, "id": "", "files": {}}', "version 2"),
        (b'{"version": 1, "id": "i", "files": {"../x": {"bytes": 1, "blake2b": "", "object": "x"}}}', "inside"),
        (b'{"version": 1, "id": "i", "files": {"x": {"bytes": 1, "blake2b": "", "object": "/etc/x"}}}', "inside"),
    ],
)
def test_a_foreign_manifest(tmp_path: Path, content: bytes, what: str) -> None:
    store = memory("foreign")
    store.write("a/published.json", content)
    with pytest.raises(StoreError, match=f"memory://foreign/a/published.json: must be a manifest as.*{what}"):
        pull(Target(store, "a"), tmp_path / "local")
    assert not (tmp_path / "local").exists()


def test_entries_of_a_cache_come_when_they_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, cache = memory("cache"), tmp_path / "cache"
    put(store, "tokens-1", files_in(tmp_path / "1", x="one"))
    put(store, "tokens-2", files_in(tmp_path / "2", x="two"))
    assert not fetch_entry(cache / "tokens-1"), "the cache has no store"
    entries_come_from(cache, store.url)
    assert fetch_entry(cache / "tokens-1")
    assert (cache / "tokens-1/x").read_text() == "one"
    assert not fetch_entry(cache / "tokens-1"), "it is here"
    assert not fetch_entry(cache / "tokens-3"), "nobody has made it"
    store.write("tokens-2/x", b"tow")
    assert not fetch_entry(cache / "tokens-2")
    assert "memory://cache/tokens-2/x: must hold what was published" in capsys.readouterr().err


def test_a_copy_of_a_run_and_of_a_graph_folder(tmp_path: Path) -> None:
    """A graph folder that was written by Spark, or copied by another tool, has no manifest but its own."""
    store = memory("readers")
    put(store, "run/train", files_in(tmp_path / "1", best__w="w", checkpoints__s="s"))
    put(store, "run/evaluate", files_in(tmp_path / "2", m="m"))
    local = local_copy("memory://readers/run", lambda name: "checkpoints" not in name, root=tmp_path / "copies")
    files = (path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
    assert sorted(name for name in files if not name.startswith(".")) == ["evaluate/m", "train/best/w"]
    parts = files_in(tmp_path / "3", part__n="nodes")
    manifest = {"hashes": {"part/n": file_hash(parts["part/n"])}}
    store.write("graph/part/n", b"nodes")
    store.write("graph/graph.json", json.dumps(manifest).encode())
    local = local_copy("memory://readers/graph", root=tmp_path / "copies")
    assert (local / "part/n").read_text() == "nodes"
    received = Store("memory://readers/graph").counts.received
    assert local_copy("memory://readers/graph", root=tmp_path / "copies") == local
    assert Store("memory://readers/graph").counts.received == received
    assert local_copy(tmp_path) == tmp_path
    with pytest.raises(DataError, match="memory://readers/nothing: must hold a run, a graph or another folder"):
        local_copy("memory://readers/nothing", root=tmp_path / "copies")
    assert read_record(local) is not None
