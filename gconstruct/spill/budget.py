"""How much memory construction may use, who uses it, and how much the machine has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_FALLBACK = 4 << 30  # where the system does not tell


def available_memory() -> int:
    """Bytes that the machine has, or that the container may use."""
    limits = [_machine_memory()]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # another version of cgroups, or 'max'
            continue
    return min(limits)


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _FALLBACK


@contextlib.contextmanager
def returning_pool() -> Iterator[None]:
    """Inside, Arrow takes memory from jemalloc where it has it: mimalloc, its default, keeps what a reader's threads
    have freed (measured: a build of 400 MB took up to 423, with jemalloc 311, in the same time)."""
    before = pa.default_memory_pool()
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


class Share:
    """A number of bytes that several users may take together; each says how much it takes now."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: dict[int, int] = {}

    def take(self, user: object, size: int) -> bool:
        """Whether all users stay within the limit when this one takes `size` bytes (in all)."""
        self._taken[id(user)] = size
        return sum(self._taken.values()) <= self.limit

    def free(self, user: object) -> None:
        """This one takes nothing any more."""
        self._taken.pop(id(user), None)


@dataclass(frozen=True, slots=True)
class Memory:
    """How the memory of a construction is divided. What a part cannot hold goes to disk."""

    total: int
    ids: Share
    """Ids of all node types, which stay until the last edge"""
    rows: int
    """Rows of the table that is read, between its passes"""
    edges: int
    """Edges of one type while they are sorted"""
    columns: int
    """Columns of the file that is written"""
    batch: int
    """Numbers of one batch of rows"""

    @classmethod
    def of(cls, total: int, waiting: int, threads: int) -> Memory:
        """total: bytes. waiting: edge types that are kept until all tables are read."""
        process = 230 << 20  # Python, its libraries, and what readers hold ahead: 100 to 220 MB were measured
        free = max(total - process, total // 8)
        return cls(
            total=total,
            ids=Share(free // 4),
            rows=free // 8,
            edges=free * 3 // 8 // max(waiting, 1),
            columns=free // 32,
            batch=max(1 << 20, min(64 << 20, free // (16 * (threads + 2)))),
        )
