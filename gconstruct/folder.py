"""A folder that appears whole or not at all.

Written under a hidden sibling name, synced to the disk, then renamed. A folder that is replaced is renamed out of the
way first and deleted last, so a kill at any moment leaves the old or the new one; `recover` tidies up behind it.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import MANIFEST

STITCH_REPORT = "stitch.json"
"""In the folder of a stitched graph."""


def check_target(
    path: Path, key: str = "graph.path", kind: str = "graph", mark: str = MANIFEST, *, partitioned: bool = True
) -> None:
    """Refuse a target that is something else than a folder of this kind, which has the file `mark`: it would be
    deleted. key: what names it in the configuration. partitioned: whether it may have several partitions."""
    if path.is_dir() and (path / mark).is_file() and (partitioned or not (path / "part-1").exists()):
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise DataError(
            f"{path}: {key} must be a {kind} folder or not exist yet (got something else there). "
            f"It would be overwritten: remove it, or set {key} to another folder"
        )


def recover(path: Path) -> None:
    """After a kill: bring back the old folder when the new one never came, and delete what was left half-done."""
    old = _old(path)
    if old.exists():
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)
    if path.parent.is_dir():
        for entry in path.parent.glob(f".{glob_safe(path.name)}.tmp-*"):
            if _is_abandoned(entry.name):
                shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; it takes the place of `path` at the end, or is gone after an error."""
    made = _make_parents(path.parent)
    temporary = path.parent / f".{path.name}.tmp-{socket.gethostname()}-{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        _sync(temporary)
        _swap(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # another process may have put something there
            for parent in made:
                parent.rmdir()
        raise


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder; returns those that did not exist, innermost first."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _old(path: Path) -> Path:
    return path.parent / f".{path.name}.old"


def _swap(temporary: Path, path: Path) -> None:
    old = _old(path)
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Folder entries to the disk; the files were synced when they were written."""
    for root, _, _ in os.walk(folder):
        sync(Path(root))


def sync(path: Path) -> None:
    """A file's content, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def glob_safe(name: str) -> str:
    """A name for use in a glob."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _is_abandoned(name: str) -> bool:
    """Was it left by a process of this machine that is gone?"""
    host, _, pid = name.rpartition(".tmp-")[2].rpartition("-")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
