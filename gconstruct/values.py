"""Columns as Arrow arrays: where they come from, casts, and numbers out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.kinds import kind_of
from gconstruct.problems import Problems, bad_rows

_ANY_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"


class Rows(Protocol):
    """The rows of a column: a whole table or a piece of it."""

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1) of a row (from 0)."""
        ...

    def label(self) -> str:
        """'items.parquet' or 'items.parquet and 3 more files'"""
        ...


@runtime_checkable
class NumberedRows(Protocol):
    """Rows that know their numbers."""

    def numbers_in_file(self) -> np.ndarray | None:
        """int64 (n): the row of the table's file that each was, from 0; None: the table has several files."""
        ...


class TableRows(Rows, Protocol):
    """Rows with all columns that the configuration names, cast to the types of the plan."""

    @property
    def key(self) -> str:
        """'graph.nodes.item' or 'graph.edges[2]'"""
        ...

    def __len__(self) -> int: ...

    def column(self, name: str) -> pa.Array:
        """A column (n), in one piece."""
        ...

    def source(self, name: str, key: str, problems: Problems) -> Source:
        """A column for what `key` names in the YAML."""
        ...

    def untyped(self, name: str) -> bool:
        """From CSV only: strings that may stand for integers."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A column of n rows, what reads it, and where its problems go."""

    name: str
    values: pa.Array
    rows: Rows
    key: str
    """What reads it in the YAML, e.g. graph.nodes.item.features.price"""
    problems: Problems
    untyped: bool = False
    """From CSV files only: strings that may stand for something else."""
    width: int | None = None
    """Numbers per row of the feature once it is fitted: rows without any value do not show it."""
    others: tuple[Source, ...] = ()
    """Further columns of the same rows, for what reads several"""
    base: str = "."
    """Folder where relative paths of files start"""

    def __len__(self) -> int:
        return len(self.values)

    def without_rows(self) -> Source:
        """The column with no rows, of the same type."""
        others = tuple(other.without_rows() for other in self.others)
        return replace(self, values=self.values.slice(0, 0), others=others)

    def columns(self) -> tuple[Source, ...]:
        """This column and the others."""
        return (self, *self.others)

    def refuse(self, rows: Sequence[int] | np.ndarray, values: Sequence[object], rule: str, fix: str) -> None:
        """Report rows (from 0) that break a rule; `values` are those of the first few of them."""
        self.problems.add(bad_rows(self.rows, rows, values, f"column {self.name!r}", rule, fix))

    def refuse_all(self, rule: str, fix: str) -> None:
        """Report a column that breaks a rule as a whole; `rule` continues the sentence that names the column."""
        self.problems.add(f"{self.rows.label()}: column {self.name!r} {rule}. {fix}")


def cast_values(column: pa.ChunkedArray | pa.Array, to: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """Cast; integers may lose digits as floats, and strings may have blanks around numbers."""
    if column.type == to:
        return column
    if kind_of(column.type) == "string" and kind_of(to) in ("integer", "float", "boolean"):
        column = pc.utf8_trim_whitespace(pc.cast(column, pa.large_string()))
    return pc.cast(column, to, safe=not pa.types.is_floating(to))


def first_failure(column: pa.ChunkedArray | pa.Array, to: pa.DataType) -> int:
    """The first row that cannot be cast, by bisection: about two casts of the column in all."""
    low, high = 0, len(column)
    in_lists = kind_of(column.type).startswith("list of ")
    while high - low > 1:
        middle = (low + high) // 2
        # A slice of lists shares the items of all of them, and a cast checks them all.
        piece = column.take(pa.array(range(low, middle))) if in_lists else column.slice(low, middle - low)
        try:
            cast_values(piece, to)
            low = middle
        except pa.ArrowException:
            high = middle
    return low


def as_numbers(source: Source) -> pa.Array | None:
    """A scalar column as float64; strings of CSV files are parsed. None: the source's problems say why not."""
    column = source.values
    try:
        if source.untyped:
            flags = pc.is_in(pc.utf8_lower(column), value_set=pa.array(["true", "false", None], pa.large_string()))
            if pc.all(flags, min_count=0).as_py():
                column = cast_values(column, pa.bool_())
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.uint8())
        return cast_values(column, pa.float64())
    except pa.ArrowException:
        row = first_failure(column, pa.float64())
        fix = f"Correct the value, or name it in csv.null_values ({source.key})"
        source.refuse([row], [column[row].as_py()], "a number", fix)
        return None


def all_integers(strings: pa.Array) -> bool:
    """Whether every string is an int64 in its usual form (no '007', no '+1', no blanks)."""
    matches = pc.match_substring_regex(strings, pattern=_ANY_INTEGER)
    if not pc.all(pc.fill_null(matches, True), min_count=0).as_py():
        return False
    try:
        pc.cast(strings, pa.int64())
        return True
    except pa.ArrowException:  # 19 digits beyond int64
        return False


def integers_among(strings: pa.Array) -> pa.Array:
    """int64: those of the strings that are integers in their usual form (see all_integers)."""
    usual = strings.filter(pc.match_substring_regex(strings, pattern=_ANY_INTEGER))
    try:
        return pc.cast(usual, pa.int64())
    except pa.ArrowException:  # 19 digits beyond int64
        return pa.array([int(text) for text in usual.to_pylist() if -(2**63) <= int(text) < 2**63], pa.int64())
