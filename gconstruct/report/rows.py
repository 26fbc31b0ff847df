"""Rows of a graph folder for statistics: a column in blocks of bounded size, of all rows or of a fixed sample.

A sample is RUNS evenly spaced runs of consecutive rows, so that it reads few pages of a mapped file and is the same
each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.bfloat16 import from_bits

RUNS = 64
_BLOCK_VALUES = 1 << 16
"""Numbers in a block: 512 kB as float64, so that several passes over it stay in the CPU's cache"""

Runs = list[tuple[int, int]]
"""Rows (start, stop), ascending"""


def sample_runs(num_rows: int, wanted: int) -> Runs:
    """Evenly spaced runs that have about `wanted` rows together; all rows when there are not more."""
    if num_rows <= wanted:
        return [(0, num_rows)]
    runs = min(RUNS, wanted)
    length = wanted // runs
    starts = np.linspace(0, num_rows - length, runs).astype(np.int64)
    return [(start, start + length) for start in starts.tolist()]


def rows_in(runs: Runs) -> int:
    """How many rows they are."""
    return sum(stop - start for start, stop in runs)


class Pieces:
    """A column of several pieces, one a partition, as if they were one."""

    def __init__(self, pieces: list[pa.Array]) -> None:
        self._pieces = pieces
        self._starts = np.cumsum([0, *(len(piece) for piece in pieces)]).tolist()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def slices(self, runs: Runs, block: int) -> Iterator[pa.Array]:
        """The rows of the runs, at most `block` at a time."""
        for piece, start in zip(self._pieces, self._starts, strict=False):
            for first, last in runs:
                begin, end = max(first - start, 0), min(last - start, len(piece))
                for at in range(begin, end, block):
                    yield piece.slice(at, min(block, end - at))

    def take(self, rows: list[int]) -> list[Any]:
        """Single rows as Python values."""
        values = []
        for row in rows:
            at = int(np.searchsorted(self._starts, row, side="right")) - 1
            values.append(self._pieces[at][row - self._starts[at]].as_py())
        return values


def number_blocks(column: Pieces, runs: Runs, width: int, bfloat16: bool = False) -> Iterator[np.ndarray]:
    """float64 (width, rows) block by block: each dimension's numbers are contiguous."""
    for piece in column.slices(runs, max(1, _BLOCK_VALUES // width)):
        flat = piece.flatten() if pa.types.is_fixed_size_list(piece.type) else piece
        numbers = flat.to_numpy(zero_copy_only=False)
        if bfloat16:
            numbers = from_bits(numbers)
        yield np.ascontiguousarray(numbers.reshape(-1, width).T, dtype=np.float64)
