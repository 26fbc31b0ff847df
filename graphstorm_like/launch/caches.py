"""What lies in a cache folder, who has used it, and which of it may go.

Nothing that a running job holds is deleted: a cache in which a run works is left alone as a whole, for the run may come
back to any entry, and an entry whose own lock is held is left where it is.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphstorm_like.cache_use import LOCK, USERS, alone_in_cache, forget, users
from graphstorm_like.errors import DataError
from graphstorm_like.files import TEMPORARY, read_object, try_lock

KINDS = {"tokens": "tokens-", "texts": "texts-", "vectors": "vectors-", "phases": "phase-", "notes": "known-"}
"""Prefixes of the names of entries. texts: distinct texts, for encoders that need no tokens."""
LEFTOVERS = "leftovers"
"""Of killed processes: folders that were being written or deleted"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a cache."""

    path: Path
    kind: str
    bytes: int
    used_at: float
    """Seconds since 1970"""
    used_by: tuple[str, ...]
    """Output folders of the runs that have used it, those that are gone left out"""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        facts = {"name": self.path.name, "kind": self.kind, "bytes": self.bytes}
        return {**facts, "used_at": self.used_at, "used_by": list(self.used_by)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are to go: those to which all of this applies."""

    kinds: Collection[str] = ()
    """Empty: of every kind"""
    older_than: float | None = None
    """Seconds since the last use"""
    unused: bool = False
    """No run has used it whose output folder is still there"""
    unused_by: Collection[str] | None = None
    """None of the runs with these output folders has used it"""

    def includes(self, entry: Entry, now: float) -> bool:
        """Whether an entry is to go."""
        if entry.kind == LEFTOVERS:
            return True
        if self.kinds and entry.kind not in self.kinds:
            return False
        if self.older_than is not None and now - entry.used_at < self.older_than:
            return False
        if self.unused and entry.used_by:
            return False
        return self.unused_by is None or not set(self.unused_by) & set(entry.used_by)


@dataclass(slots=True)
class Pruned:
    """What was deleted, or would be, and what was not although it was wanted."""

    deleted: list[Entry] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    """Why, by the entry's name"""

    @property
    def bytes(self) -> int:
        """Of all that was deleted."""
        return sum(entry.bytes for entry in self.deleted)


def entries(cache: Path) -> list[Entry]:
    """All entries of a cache folder, the largest first. DataError when there is none."""
    if not cache.is_dir():
        raise DataError(f"{cache}: must be the cache folder of a pipeline (got nothing there). Name another one")
    used = {output: names for output, names in users(cache).items() if Path(output).exists()}
    found = []
    for path in cache.iterdir():
        kind = _kind(path.name)
        if kind is not None:
            by = sorted(output for output, names in used.items() if path.name in names)
            with suppress(FileNotFoundError):  # another process has just removed it
                found.append(Entry(path, kind, _size(path), path.stat().st_mtime, tuple(by)))
    return sorted(found, key=lambda entry: (-entry.bytes, entry.path.name))


def in_use(cache: Path) -> bool:
    """Whether a run works with the cache now."""
    with alone_in_cache(cache) as alone:
        return not alone


def prune(cache: Path, wanted: Wanted, dry_run: bool = False) -> Pruned:
    """Delete the entries that are wanted. DataError when a run works with the cache."""
    found = entries(cache)
    with alone_in_cache(cache) as alone:
        if not alone and not dry_run:
            raise DataError(
                f"{cache}: must not be in use (a run works with it, and may come back to any entry). Wait until it "
                f"ends, or look with --dry-run"
            )
        now = time.time()
        chosen = [entry for entry in found if wanted.includes(entry, now)]
        result = Pruned()
        needed = _needed_tokens(set(found) - set(chosen))
        for entry in chosen:
            if entry.path.name in needed:
                result.kept[entry.path.name] = f"{needed[entry.path.name]} is of use only with it"
            elif dry_run or _delete(entry.path):
                result.deleted.append(entry)
            else:
                result.kept[entry.path.name] = "another process holds its lock"
        if not dry_run:
            _forget(cache, {entry.path.name for entry in result.deleted})
    return result


def _forget(cache: Path, gone: set[str]) -> None:
    """Remove what belongs to entries that are gone: notes that name them, records of use, and lock files."""
    for note in cache.glob(f"{KINDS['notes']}*.json"):
        content = read_object(note) or {}
        if {content.get("tokens"), content.get("vectors")} & gone:
            note.unlink(missing_ok=True)
    forget(cache, gone)
    for name in gone:
        (cache / f"{name}.lock").unlink(missing_ok=True)


def _needed_tokens(staying: Collection[Entry]) -> dict[str, str]:
    """Tokens and texts without which vectors that stay would be worthless, and which vectors those are."""
    needed: dict[str, str] = {}
    for entry in staying:
        if entry.kind == "vectors":
            key = (read_object(entry.path / "meta.json") or {}).get("token_store")
            needed |= {f"tokens-{key}": entry.path.name, f"texts-{key}": entry.path.name}
    return needed


def _delete(path: Path) -> bool:
    """Remove an entry so that it is never half there; False when somebody holds its lock."""
    if path.is_file():
        path.unlink(missing_ok=True)
        return True
    lock = path.with_name(f"{path.name}.lock")
    with open(lock, "a+", encoding="utf-8") as file:
        if not try_lock(file.fileno()):
            return False
        aside = path if path.name.startswith(TEMPORARY) else path.with_name(f"{TEMPORARY}{path.name}")
        if aside != path:
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _kind(name: str) -> str | None:
    """The kind of an entry by its name; None for what is no entry: locks, notes of use, files of somebody else."""
    if name in (LOCK, USERS) or name.endswith(".lock"):
        return None
    for kind, prefix in KINDS.items():
        if name.startswith(prefix):
            return LEFTOVERS if name.endswith(".tmp") or ".tmp-" in name else kind
    is_ours = any(name.lstrip(".").partition("-")[2].startswith(prefix) for prefix in KINDS.values())
    return LEFTOVERS if name.startswith((TEMPORARY, ".old-")) and is_ours else None


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; a file with two names in it counts once."""
    if path.is_file():
        return path.stat().st_size
    sizes = {}
    for file in _files(path):
        with suppress(FileNotFoundError):
            status = file.stat()
            sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
