"""Who uses a cache folder: runs hold it (a shared kernel lock) while they work, and note which entries they have used.

`.in-use.lock` is held by every process of a run, and alone by a process that deletes. `.used-by/<hash>/` has the run's
output folder in `run.json` and an empty file for each entry that it has used; the time of an entry's last use is the
modification time of its folder. Locks and notes change no result: a cache that cannot be written to is used without.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from graphstorm_like.errors import DataError
from graphstorm_like.files import open_own, print_waiting, read_object, write_json

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing is held
    fcntl = None  # type: ignore[assignment]

LOCK, USERS, OUTPUT = ".in-use.lock", ".used-by", "run.json"
WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _User:
    cache: Path
    notes: Path
    noted: set[str]


_users: list[_User] = []
"""Of this process, innermost last."""


@contextlib.contextmanager
def using_cache(cache: Path, output: Path) -> Iterator[None]:
    """Hold a cache for a run, so that nobody deletes from it, and note what `mark_used` says within the block.

    Waits while another process deletes; DataError after an hour of that.
    """
    with contextlib.ExitStack() as stack:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open_own(cache / LOCK, "a+"))
        except OSError:
            yield
            return
        _share(file.fileno(), cache)
        notes = cache / USERS / blake2b(str(output.absolute()).encode(), digest_size=8).hexdigest()
        with contextlib.suppress(OSError):
            notes.mkdir(parents=True, exist_ok=True)
            if not (notes / OUTPUT).exists():
                write_json(notes / OUTPUT, {"output": str(output.absolute())})
        _users.append(_User(cache.absolute(), notes, set()))
        try:
            yield
        finally:
            _users.pop()


def _share(descriptor: int, cache: Path) -> None:
    """Take the lock that several may hold."""
    if fcntl is None:
        return
    started, said = time.monotonic(), False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks
            return
        if time.monotonic() - started > WAIT_SECONDS:
            raise DataError(f"{cache}: must not be locked for an hour by gsl cache prune. Look what it waits for")
        if not said:
            print_waiting(f"waiting for gsl cache prune, which deletes from {cache}")
            said = True
        time.sleep(0.1)


@contextlib.contextmanager
def alone_in_cache(cache: Path) -> Iterator[bool]:
    """Hold a cache that no run uses; gives False when one does."""
    with open_own(cache / LOCK, "a+") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True


def mark_used(entry: Path) -> None:
    """Note that the run which holds the cache has used an entry of it, now."""
    with contextlib.suppress(OSError):
        os.utime(entry)
    for user in _users:
        if user.cache == entry.parent.absolute() and entry.name not in user.noted:
            user.noted.add(entry.name)
            with contextlib.suppress(OSError):
                (user.notes / entry.name).touch()


def users(cache: Path) -> dict[str, set[str]]:
    """Names of the entries that each run has used, by the run's output folder."""
    used: dict[str, set[str]] = {}
    for notes in (cache / USERS).glob("*"):
        with contextlib.suppress(OSError, KeyError):
            output = str((read_object(notes / OUTPUT) or {})["output"])
            used[output] = {path.name for path in notes.iterdir()} - {OUTPUT}
    return used


def forget(cache: Path, entries: set[str]) -> None:
    """Remove the notes about entries that are gone, and those of runs whose output folder is gone."""
    for output, names in users(cache).items():
        notes = cache / USERS / blake2b(output.encode(), digest_size=8).hexdigest()
        with contextlib.suppress(OSError):
            for name in names & entries:
                (notes / name).unlink(missing_ok=True)
            if not Path(output).exists():
                for path in notes.iterdir():
                    path.unlink(missing_ok=True)
                notes.rmdir()
