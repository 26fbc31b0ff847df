"""Rows of a graph folder for statistics: a column in blocks of bounded size, of all rows or of a fixed sample.

A sample is RUNS evenly spaced runs of consecutive rows, so that it reads few pages of a mapped file and is the same
each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.opened import OpenFiles
from graphstorm_like.graph.bfloat16 import from_bits

RUNS, MIN_RUN = 16, 64
_BLOCK_VALUES = 1 << 16
"""Numbers in a block: 512 kB as float64, so that several passes over it stay in the CPU's cache"""

Runs = Sequence[tuple[int, int]]
"""Rows (start, stop), ascending"""


@cache
def sample_runs(num_rows: int, wanted: int) -> Runs:
    """Evenly spaced runs that have about `wanted` rows together; all rows when there are not more."""
    if num_rows <= wanted:
        return [(0, num_rows)]
    runs = min(RUNS, max(1, wanted // MIN_RUN))
    length = wanted // runs
    starts = np.linspace(0, num_rows - length, runs).astype(np.int64)
    return [(start, start + length) for start in starts.tolist()]


def rows_in(runs: Runs) -> int:
    """How many rows they are."""
    return sum(stop - start for start, stop in runs)


class Pieces:
    """A column of several pieces, one a partition, as if they were one. opened: the files that they are of."""

    def __init__(self, pieces: list[pa.Array], opened: OpenFiles | None = None) -> None:
        self.pieces, self.opened = pieces, opened or OpenFiles()
        self.starts = np.cumsum([0, *(len(piece) for piece in pieces)]).tolist()

    def __len__(self) -> int:
        return int(self.starts[-1])

    def slices(self, runs: Runs, block: int) -> Iterator[pa.Array]:
        """The rows of the runs, at most `block` at a time."""
        for piece, start in zip(self.pieces, self.starts, strict=False):
            for first, last in runs:
                begin, end = max(first - start, 0), min(last - start, len(piece))
                for at in range(begin, end, block):
                    some = piece.slice(at, min(block, end - at))
                    yield some
                    self.opened.was_read(some.nbytes)

    def take(self, rows: list[int]) -> list[Any]:
        """Single rows as Python values."""
        values = []
        for row in rows:
            at = int(np.searchsorted(self.starts, row, side="right")) - 1
            values.append(self.pieces[at][row - self.starts[at]].as_py())
        return values


class Matrix:
    """A column of `width` numbers a row, in pieces: views of the mapped files."""

    def __init__(self, column: Pieces, width: int, bfloat16: bool = False) -> None:
        self._pieces = [view(piece, width) for piece in column.pieces]
        self._starts, self._opened, self._bfloat16 = column.starts, column.opened, bfloat16
        self._block = max(1, _BLOCK_VALUES // width)

    def blocks(self, runs: Runs) -> Iterator[np.ndarray]:
        """float64 (width, rows) block by block: each dimension's numbers are contiguous."""
        waiting: list[np.ndarray] = []
        rows = 0
        for numbers in self._slices(runs):
            waiting.append(numbers)
            rows += len(numbers)
            if rows >= self._block:
                yield self._exact(waiting)
                waiting, rows = [], 0
        if waiting:
            yield self._exact(waiting)

    def _exact(self, slices: list[np.ndarray]) -> np.ndarray:
        numbers = slices[0] if len(slices) == 1 else np.concatenate(slices)
        exact = from_bits(numbers) if self._bfloat16 else numbers
        return np.ascontiguousarray(exact.T, dtype=np.float64)

    def sample(self, runs: Runs) -> np.ndarray:
        """float64: all finite numbers of some rows, in no particular shape."""
        parts = [numbers.ravel() for numbers in self._slices(runs)]
        sample = np.concatenate(parts)
        floats: np.ndarray = (from_bits(sample) if self._bfloat16 else sample).astype(np.float64)
        finite = np.isfinite(floats)
        return floats if finite.all() else floats[finite]

    def _slices(self, runs: Runs) -> Iterator[np.ndarray]:
        for numbers, start in zip(self._pieces, self._starts, strict=False):
            for first, last in runs:
                begin, end = max(first - start, 0), min(last - start, len(numbers))
                for at in range(begin, end, self._block):
                    some = numbers[at : min(at + self._block, end)]
                    yield some
                    self._opened.was_read(some.nbytes)


def view(piece: pa.Array, width: int) -> np.ndarray:
    """Numbers (rows, width) of an Arrow array, without a copy."""
    if pa.types.is_fixed_size_list(piece.type):  # its flatten() takes 0.1 ms
        piece = piece.values.slice(piece.offset * width, len(piece) * width)
    numbers: np.ndarray = piece.to_numpy(zero_copy_only=False).reshape(-1, width)
    return numbers
