"""Small file-system habits that every stage shares.

A folder is either whole or absent: it is written under another name, fsynced and renamed. One that is replaced is
renamed out of the way first and deleted last, so a kill at any moment leaves the old or the new one; `recover` (for all
of an output folder, under its lock) and `recover_target` (for one folder) tidy up behind it. A build holds a kernel
lock, which the kernel drops when the process dies, so no stale lock ever needs cleaning by hand.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphstorm_like.errors import DataError

TEMPORARY, SET_ASIDE, SCRATCH = ".writing-", ".old-", ".vectors-"
"""Prefixes: of a folder that is being written, of one whose successor takes its place, and of scratch space."""

try:
    import fcntl
except ImportError:  # not a POSIX system: two processes that fill one cache are then the user's business
    fcntl = None  # type: ignore[assignment]


def fsync_path(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(path: Path, size: int) -> None:
    """Make a file of `size` bytes whose blocks are really there: writing to a memory map of a file with holes kills
    the process when the disk is full. Raises DataError when there is no room."""
    try:
        with open(path, "wb") as file:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    except OSError as err:
        raise DataError(
            f"{path}: needs {size / 1e9:,.2f} GB on disk ({err}). Free space or choose another folder"
        ) from err


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new` in the place of `target`, which comes back when that fails; `recover` ends a killed swap."""
    fsync_path(new)
    old = target.parent / f"{SET_ASIDE}{target.name}"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    fsync_path(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Clean up after a kill: what a swap had set aside comes back if its successor is missing, the rest goes."""
    for leftover in [*folder.glob(f"{SET_ASIDE}*"), *folder.glob(f"{TEMPORARY}*")]:
        original = folder / leftover.name.removeprefix(SET_ASIDE)
        if leftover.name.startswith(SET_ASIDE) and not original.exists():
            leftover.rename(original)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def check_target(path: Path, key: str, kind: str, mark: str, *, partitioned: bool = True) -> None:
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


def recover_target(path: Path) -> None:
    """Clean up after a killed `new_folder`: the old folder comes back when the new one never came, and what processes
    that are gone have left half-done goes. Other processes may be at work beside."""
    old = path.parent / f"{SET_ASIDE}{path.name}"
    if old.exists():
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)
    if path.parent.is_dir():
        for entry in path.parent.glob(f".{glob_safe(path.name)}.tmp-*"):
            if _is_abandoned(entry.name):
                shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; it takes the place of `path` at the end, or is gone after an error.

    Its files must be synced when they are written; the entries of its folders are synced here.
    """
    made = _make_parents(path.parent)
    temporary = path.parent / f".{path.name}.tmp-{socket.gethostname()}-{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        for folder, _, _ in os.walk(temporary):
            fsync_path(Path(folder))
        replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process may have put something there
            for parent in made:
                parent.rmdir()
        raise


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder; returns those that did not exist, innermost first."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


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


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` in one step: a reader sees the old content or the new, never half of it.

    Keys stay in their order: a configuration that is read back names its node types as the user did.
    """
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_path(path.parent)


def read_meta(folder: Path, kind: str, version: int, keys: tuple[str, ...]) -> dict[str, Any]:
    """The meta.json of `folder`, checked; raises DataError when it is absent, broken or of another kind or version."""
    path = folder / "meta.json"
    remedy = f"Delete the folder {folder} and run again; it will be rebuilt."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing, so this is no {kind}. {remedy}") from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{path}: meta.json must be readable JSON (got: {problem}). {remedy}") from problem
    if not isinstance(content, dict) or content.get("kind") != kind:
        got = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path}: kind must be '{kind}' (got {got!r}). {remedy}")
    if content.get("version") != version:
        raise DataError(f"{path}: version must be {version} (got {content.get('version')!r}). {remedy}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise DataError(f"{path}: the keys {', '.join(missing)} are missing. {remedy}")
    return content


def check_size(path: Path, expected: int) -> None:
    """Raise DataError unless the file has exactly `expected` bytes."""
    got = path.stat().st_size if path.exists() else None
    if got != expected:
        what = "is missing" if got is None else f"must have {expected:,} bytes (got {got:,})"
        raise DataError(f"{path}: the file {what}. Delete the folder {path.parent} and run again; it will be rebuilt.")


@contextlib.contextmanager
def exclusive(lock_file: Path, doing: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold `lock_file` while the body runs; raise DataError when another process still has it after `wait_s`."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with open(lock_file, "a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait_s
        while not try_lock(file.fileno()):
            if time.monotonic() >= deadline:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise DataError(
                    f"{lock_file}: {holder} is already {doing} (waited {wait_s:.0f} s). "
                    "Wait until it ends, then run again: finished work is reused."
                )
            time.sleep(0.2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield  # closing the file gives the lock back


def try_lock(descriptor: int) -> bool:
    """Take the kernel lock of an open file; False when another process has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
