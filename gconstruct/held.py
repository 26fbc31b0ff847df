"""Tables in memory that stand for files: `table://NAME` in a configuration names one while it is held."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SCHEME = "table://"


@dataclass(frozen=True, slots=True)
class Held:
    """One table."""

    table: pa.Table
    size: int
    """Bytes"""
    stamp: str
    """Hash of its contents"""


_held: ContextVar[Mapping[str, Held]] = ContextVar("held tables")
"""By 'table://NAME'"""


def held_table(name: str) -> Held | None:
    """What 'table://NAME' stands for, if anything."""
    return _held.get({}).get(name)


@contextmanager
def hold(tables: Mapping[str, pa.Table]) -> Iterator[None]:
    """Let 'table://NAME' name these tables, by NAME."""
    held = {f"{SCHEME}{name}": Held(table, table.nbytes, _hash(table)) for name, table in tables.items()}
    token = _held.set(held)
    try:
        yield
    finally:
        _held.reset(token)


class _Hash:
    """A file that only hashes."""

    closed = False

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=16)

    def write(self, content: Any) -> int:
        self.hash.update(content)
        return len(content)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def _hash(table: pa.Table) -> str:
    """Of schema and values. The same values in other chunks have another one: the graph is built again."""
    import pyarrow as pa

    sink = _Hash()
    with pa.PythonFile(sink, mode="w") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return sink.hash.hexdigest()
