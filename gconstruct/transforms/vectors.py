"""Columns of numbers, of lists of numbers or of strings that hold several, as matrices.

Out: float32 or float64 (n, width), NaN for null. What is no number, and lists of several lengths, are problems.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.kinds import kind_of
from gconstruct.problems import EXAMPLES, Unquoted
from gconstruct.values import Source, as_numbers


def read_vectors(source: Source, width: int | None, separator: str | None = None) -> np.ndarray | None:
    """The numbers of each row. width: the length of the lists when it is known. None: `source` says what is wrong."""
    if pa.types.is_null(source.values.type):
        return np.full((len(source), width or 1), np.nan)
    if separator is not None:
        lists = _split(source, separator)
        return None if lists is None else _matrix(source, lists, width)
    if kind_of(source.values.type).startswith("list of "):
        return _matrix(source, source.values, width)
    numbers = as_numbers(source)
    if numbers is None:
        return None
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False).reshape(-1, 1)
    return values


def _split(source: Source, separator: str) -> pa.Array | None:
    """Strings as lists of float64; one without any number is null."""
    strings = pc.utf8_trim_whitespace(pc.cast(source.values, pa.large_string()))
    lists = pc.split_pattern(pc.if_else(pc.equal(strings, ""), None, strings), pattern=separator)
    items = pc.utf8_trim_whitespace(lists.flatten())
    try:
        numbers = pc.cast(pc.if_else(pc.equal(items, ""), None, items), pa.float64())
    except pa.ArrowException:
        wrong = _not_numbers(lists, items)
        shown = strings.take(pa.array(wrong[:EXAMPLES])).to_pylist()
        source.refuse(
            wrong, shown, f"numbers with {separator!r} between them", f"Correct it, or {source.key}.separator"
        )
        return None
    return pa.LargeListArray.from_arrays(pc.cast(lists.offsets, pa.int64()), numbers, mask=pc.is_null(lists))


def _not_numbers(lists: pa.Array, items: pa.Array) -> np.ndarray:
    """Rows (from 0) with an item that is no number."""
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    wrong = [row for row, item in zip(parents.tolist(), items.to_pylist(), strict=True) if not _is_number(item)]
    return np.unique(np.array(wrong, np.int64))


def _is_number(text: str | None) -> bool:
    try:
        pc.cast(pa.array([text or None], pa.large_string()), pa.float64())
    except pa.ArrowException:
        return False
    return True


def _matrix(source: Source, column: pa.Array, width: int | None) -> np.ndarray | None:
    """Lists of another width than the first, or than those that the feature was fitted on, are a problem."""
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    with_list = np.flatnonzero(lengths >= 0)
    known = width is not None
    if width is None:
        width = int(lengths[with_list[0]]) if with_list.size else 1
    wrong = with_list[lengths[with_list] != width]
    if wrong.size or width == 0:
        rows = wrong if width else with_list
        shown = [Unquoted(f"a list of {n}") for n in lengths[rows[:EXAMPLES]].tolist()]
        others = "when it was fitted" if known else "in the first row that has one"
        rule = f"a list of {width} numbers, as {others}" if width else "a list of numbers"
        source.refuse(rows, shown, rule, "Make all lists of one length")
        return None
    flat = column.flatten()
    if pa.types.is_boolean(flat.type):
        flat = pc.cast(flat, pa.uint8())
    to = pa.float32() if pa.types.is_float32(flat.type) else pa.float64()
    numbers: np.ndarray = pc.cast(flat, to, safe=False).to_numpy(zero_copy_only=False).reshape(-1, width)
    if with_list.size == len(column):
        return numbers
    values = np.full((len(column), width), np.nan, numbers.dtype)
    values[with_list] = numbers
    return values
