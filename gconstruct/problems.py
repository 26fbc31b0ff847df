"""Messages about rows of tables, and a list that collects several problems before it raises.

A message names file, column, row, the value and what to do. Rows are counted from 1, a file's header not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from graphstorm_like.errors import DataError

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = 3
_MAX_SHOWN = 20  # problems in the text of one error


class Unquoted(str):
    """A value that messages show without quotes, such as NaN."""


class Placed(Protocol):
    """Something whose rows have a place in a file."""

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1) of a row (from 0)."""
        ...


class TableError(DataError):
    """Input tables break a rule. Carries every problem with its place in the YAML (empty: none)."""

    def __init__(self, messages: Sequence[str], keys: Sequence[str]) -> None:
        self.problems = tuple(zip(keys, messages, strict=True))
        head = "" if len(messages) == 1 else f"{len(messages):,} problems in the input tables:\n"
        more = len(messages) - _MAX_SHOWN
        tail = f"\n... and {more:,} more" if more > 0 else ""
        super().__init__(head + "\n".join(messages[:_MAX_SHOWN]) + tail)


class Problems:
    """Messages so far; one TableError reports them all."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._keys: list[str] = []

    def add(self, message: str, key: str = "") -> None:
        """Remember a message, once. key: where the YAML names what it is about."""
        if message not in self.messages:
            self.messages.append(message)
            self._keys.append(key)

    def __len__(self) -> int:
        return len(self.messages)

    def raise_if_any(self) -> None:
        """Raise a TableError when there are messages."""
        if self.messages:
            raise TableError(self.messages, self._keys)


def shown(value: object) -> str:
    """A value as messages show it: null for None, quoted strings, nothing longer than 60 characters."""
    if value is None or isinstance(value, Unquoted):
        return "null" if value is None else str(value)
    text = repr(value)
    return text if len(text) <= 60 else text[:56] + " ..."


def bad_rows(
    table: Placed,
    rows: Sequence[int] | np.ndarray,
    values: Sequence[object],
    what: str,
    rule: str,
    fix: str,
    *,
    count: int | None = None,
) -> str:
    """`file row N: what must be rule (got value; k such rows, also value in row M). fix`

    `rows` (from 0) and `values` need only hold the first few; `count` is the number of all.
    """
    count = len(rows) if count is None else count
    file, row = table.place(int(rows[0]))
    finding = f"got {shown(values[0])}"
    if count > 1:
        others = []
        for later, value in zip(rows[1:EXAMPLES], values[1:EXAMPLES], strict=False):
            other_file, other_row = table.place(int(later))
            where = f"row {other_row:,}" if other_file == file else f"{other_file} row {other_row:,}"
            others.append(f"{shown(value)} in {where}")
        finding += f"; {count:,} such rows, also {' and '.join(others)}"
    return f"{file} row {row:,}: {what} must be {rule} ({finding}). {fix}"


def counted(number: int, what: str, plural: str | None = None) -> str:
    """'1 node', '68,824 nodes'"""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"
