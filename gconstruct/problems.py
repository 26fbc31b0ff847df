"""Messages about rows of tables, and a list that collects several problems before it raises.

A message names file, column, row, the value and what to do. Rows are counted from 1, a file's header not included.
Problems are data, which can be pickled: tables are read in pieces, perhaps by several processes, and rows of several
pieces that break one rule are one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Example:
    """A row that breaks a rule."""

    file: str
    row: int
    """From 1"""
    value: str
    """As messages show it"""


@dataclass(frozen=True, slots=True)
class BadRows:
    """Rows that break one rule."""

    what: str
    """E.g. column 'price'"""
    rule: str
    """Continues 'must be'"""
    fix: str
    count: int
    examples: tuple[Example, ...]
    """The first of them, at least one"""

    def also(self, later: BadRows) -> BadRows:
        """With the rows of a later piece that break the same rule."""
        examples = (*self.examples, *later.examples)[:EXAMPLES]
        return BadRows(self.what, self.rule, self.fix, self.count + later.count, examples)

    def __str__(self) -> str:
        first, *others = self.examples
        finding = f"got {first.value}"
        if self.count > 1:
            places = [f"{o.value} in {'' if o.file == first.file else o.file + ' '}row {o.row:,}" for o in others]
            finding += f"; {self.count:,} such rows" + (f", also {' and '.join(places)}" if places else "")
        return f"{first.file} row {first.row:,}: {self.what} must be {self.rule} ({finding}). {self.fix}"


class TableError(DataError):
    """Input tables break a rule. Carries every problem with its place in the YAML (empty: none)."""

    def __init__(self, messages: Sequence[str], keys: Sequence[str]) -> None:
        self.problems = tuple(zip(keys, messages, strict=True))
        head = "" if len(messages) == 1 else f"{len(messages):,} problems in the input tables:\n"
        more = len(messages) - _MAX_SHOWN
        tail = f"\n... and {more:,} more" if more > 0 else ""
        super().__init__(head + "\n".join(messages[:_MAX_SHOWN]) + tail)


class Problems:
    """Problems so far; one TableError reports them all."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], tuple[str | BadRows, str]] = {}
        self._added = 0

    @property
    def messages(self) -> list[str]:
        """One a rule that is broken, in the order in which they were found."""
        return [str(problem) for problem, _ in self._found.values()]

    def add(self, problem: str | BadRows, key: str = "") -> None:
        """Remember a problem; the same message once, rows that break the same rule together. key: where the YAML names
        what it is about."""
        self._added += 1
        if isinstance(problem, str):
            self._found.setdefault((problem,), (problem, key))
            return
        rule = (problem.what, problem.rule, problem.fix)
        known = self._found.get(rule)
        if known is not None and isinstance(known[0], BadRows):
            self._found[rule] = (known[0].also(problem), known[1])
        else:
            self._found[rule] = (problem, key)

    def add_all(self, later: Problems) -> None:
        """Add the problems of a later piece."""
        for problem, key in later._found.values():
            self.add(problem, key)

    def __len__(self) -> int:
        """How often something was added: whether a step added something shows in two of these numbers."""
        return self._added

    def raise_if_any(self) -> None:
        """Raise a TableError when there are problems."""
        if self._found:
            raise TableError(self.messages, [key for _, key in self._found.values()])


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
) -> BadRows:
    """`file row N: what must be rule (got value; k such rows, also value in row M). fix`

    `rows` (from 0) and `values` need only hold the first few; `count` is the number of all.
    """
    examples = []
    for row, value in zip(rows[:EXAMPLES], values[:EXAMPLES], strict=False):
        file, number = table.place(int(row))
        examples.append(Example(file, number, shown(value)))
    return BadRows(what, rule, fix, len(rows) if count is None else count, tuple(examples))


def counted(number: int, what: str, plural: str | None = None) -> str:
    """'1 node', '68,824 nodes'"""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"
