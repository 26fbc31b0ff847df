"""A folder in a store is the old one or the new one, whatever happens on the way."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.errors import StoreError
from graphstorm_like.mirror.manifest import Hashes, read_publication
from graphstorm_like.mirror.publish import Target, publish
from graphstorm_like.mirror.pull import pull
from graphstorm_like.mirror.transfer import Store

from .stores import Flaky, files_in, memory, objects, put


def contents(store: Store, folder: str, local: Path) -> dict[str, str]:
    """What a reader gets."""
    assert pull(Target(store, folder), local)
    return {path.relative_to(local).as_posix(): path.read_text() for path in local.rglob("*") if path.is_file()}


def test_files_have_their_own_names_in_the_end(tmp_path: Path) -> None:
    """Also when the old content of a name was needed until the new manifest was there."""
    store = memory("names")
    put(store, "a", files_in(tmp_path / "1", x="old", sub__y="same"))
    assert objects(store, "a") == ["sub/y", "x"]
    put(store, "a", files_in(tmp_path / "2", x="new", sub__y="same", z="more"), final=False)
    assert len([name for name in objects(store, "a") if name.startswith(".objects/")]) == 1
    assert contents(store, "a", tmp_path / "got") == {"x": "new", "sub/y": "same", "z": "more"}
    put(store, "a", files_in(tmp_path / "2", x="new", sub__y="same"))
    assert objects(store, "a") == ["sub/y", "x"]
    assert contents(store, "a", tmp_path / "got") == {"x": "new", "sub/y": "same"}


def test_what_is_there_is_not_sent_again(tmp_path: Path) -> None:
    store = memory("again")
    files = files_in(tmp_path, x="x" * 1000, y="y")
    put(store, "a", files)
    sent = store.counts.sent
    first = read_publication(store, "a")
    assert put(store, "a", files) == first
    assert store.counts.sent == sent
    files["y"].write_text("changed")
    put(store, "a", files)
    assert store.counts.sent - sent < 900
    # Of another folder, a copy within the store.
    content = Hashes().of(files["x"])[1]
    publish(Target(store, "b"), files, Hashes(), similar={content: "a/x"})
    assert store.counts.requests["copy"] == 2  # and one that gave `y` its own name
    assert contents(store, "b", tmp_path / "b")["x"] == "x" * 1000


@pytest.mark.parametrize("operation", ["put_file", "pipe_file", "cp_file", "rm_file"])
@pytest.mark.parametrize("call", range(4))
def test_an_interruption_leaves_the_old_or_the_new(tmp_path: Path, operation: str, call: int) -> None:
    """At every request at which it may happen; the next publication removes what it has left."""
    store = memory(f"cut-{operation}-{call}")
    old = {"x": "old", "y": "same", "z": "gone"}
    new = {"x": "new", "y": "same", "w": "more"}
    put(store, "a", files_in(tmp_path / "old", **old))
    plain, counted = store.fs, [0]

    def fails(name: str, _path: str, _before: int) -> Exception | None:
        counted[0] += name == operation
        return KeyboardInterrupt() if name == operation and counted[0] > call else None  # type: ignore[return-value]

    store.fs = Flaky(plain, fails)
    with contextlib.suppress(KeyboardInterrupt):
        put(store, "a", files_in(tmp_path / "new", **new))
    store.fs = plain
    assert contents(store, "a", tmp_path / "got") in (old, new)
    put(store, "a", files_in(tmp_path / "new", **new))
    put(store, "a", files_in(tmp_path / "last", x="newer", y="same"))
    assert contents(store, "a", tmp_path / "got") == {"x": "newer", "y": "same"}
    assert objects(store, "a") == ["x", "y"]


def test_errors_that_pass_are_tried_again(tmp_path: Path) -> None:
    store = memory("flaky")
    store.fs = Flaky(store.fs, lambda _name, _path, before: TimeoutError("slow down") if before < 2 else None)
    put(store, "a", files_in(tmp_path, x="x", y="y"))
    assert contents(store, "a", tmp_path / "got") == {"x": "x", "y": "y"}
    assert set(store.fs.calls.values()) >= {3}


def test_a_store_that_stays_away_is_named(tmp_path: Path) -> None:
    store = memory("away")
    store.fs = Flaky(store.fs, lambda name, _path, _before: OSError("no route") if name == "put_file" else None)
    with pytest.raises(StoreError, match=r"memory://away/a/x: writing must succeed \(got OSError: no route at"):
        put(store, "a", files_in(tmp_path, x="x"))
    assert read_publication(store, "a") is None


def test_refused_credentials_are_not_tried_again(tmp_path: Path) -> None:
    store = memory("refused")
    store.fs = Flaky(store.fs, lambda *_: PermissionError("Forbidden"))
    with pytest.raises(StoreError, match="must be open to this job's credentials"):
        put(store, "a", files_in(tmp_path, x="x"))
    assert set(store.fs.calls.values()) == {1}


def test_what_did_not_arrive_is_named(tmp_path: Path) -> None:
    """A store that says yes and keeps half of it."""
    store = memory("half")
    plain = store.fs

    class Half(Flaky):
        def put_file(self, source: str, path: str) -> None:
            plain.pipe_file(path, Path(source).read_bytes()[:3])

    store.fs = Half(plain, lambda *_: None)
    with pytest.raises(StoreError, match=r"memory://half/a/x: must have the 6 bytes that were sent \(got 3\)"):
        put(store, "a", files_in(tmp_path, x="sixsix"))
    assert read_publication(store, "a") is None


def test_a_shared_folder_keeps_the_first_manifest(tmp_path: Path) -> None:
    """Two jobs make the same entry of a cache, with other bits: no reader may see a mixture."""
    store = memory("shared")
    target = Target(store, "entry", shared=True)
    first = publish(target, files_in(tmp_path / "1", x="one"), Hashes())
    assert publish(target, files_in(tmp_path / "2", x="two"), Hashes()) == first
    assert contents(store, "entry", tmp_path / "got") == {"x": "one"}


def test_who_may_not_write_any_longer_leaves_the_manifest(tmp_path: Path) -> None:
    store = memory("lost")
    put(store, "a", files_in(tmp_path / "1", x="old"))

    def lost() -> None:
        raise StoreError("held by another job")

    with pytest.raises(StoreError, match="held by another"):
        put(store, "a", files_in(tmp_path / "2", x="new"), allowed=lost)
    assert contents(store, "a", tmp_path / "got") == {"x": "old"}


@pytest.mark.slow
@pytest.mark.aws
def test_a_large_file_goes_in_parts(s3: Any, tmp_path: Path) -> None:
    store, large = Store("s3://bucket/run"), tmp_path / "x"
    large.write_bytes(b"\1" * 101 * 2**20)
    put(store, "a", {"x": large}, md5_etags=True)
    assert s3.info("bucket/run/a/x")["ETag"].strip('"').endswith("-3")
    assert pull(Target(store, "a"), tmp_path / "got")
    assert (tmp_path / "got/x").read_bytes() == large.read_bytes()


@pytest.mark.aws
def test_s3(s3: Any, tmp_path: Path) -> None:
    """Etags are MD5 sums of small objects there; leftovers go."""
    store = Store("s3://bucket/deep/run")
    files = files_in(tmp_path / "1", x="old", sub__y="same")
    put(store, "a", files, md5_etags=True)
    s3.pipe_file("bucket/deep/run/a/left-over", b"")
    files["x"].write_text("new")
    put(store, "a", files, md5_etags=True)
    assert contents(store, "a", tmp_path / "got") == {"x": "new", "sub/y": "same"}
    assert objects(store, "a") == ["sub/y", "x"]
    s3.pipe_file("bucket/deep/run/a/sub/y", b"sama")
    (tmp_path / "got/sub/y").unlink()
    with pytest.raises(StoreError, match=r"s3://bucket/deep/run/a/sub/y: must hold what was published"):
        pull(Target(store, "a"), tmp_path / "other")
    assert not (tmp_path / "other").exists()
