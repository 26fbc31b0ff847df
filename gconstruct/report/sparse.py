"""Statistics of a sparse feature, from its entries: numbers that are not there are zeros."""

from __future__ import annotations

import numpy as np

from gconstruct.report.model import Dimensions, FeatureProfile, Histogram, Numbers
from gconstruct.report.numbers import BINS, categories_of, listed, summarised
from gconstruct.report.rows import Pieces, Runs, rows_in
from graphstorm_like.graph.schema import FeatureSchema
from graphstorm_like.graph.sparse import rows_of

_ROWS = 1 << 14
"""Rows at a time"""


class EntryMoments:
    """min, max, mean, std and zeros of each of `width` dimensions, and how often each value occurs."""

    def __init__(self, width: int) -> None:
        self._rows = 0
        self._count, self._sum, self._squares = np.zeros(width, np.int64), np.zeros(width), np.zeros(width)
        self._min, self._max = np.full(width, np.inf), np.full(width, -np.inf)
        self._values: dict[float, int] = {}

    def add(self, column: Pieces, runs: Runs) -> None:
        """Some rows of a column."""
        width = len(self._count)
        for piece in column.slices(runs, _ROWS):
            rows = rows_of(piece, width)
            numbers = rows.values.astype(np.float64)
            self._rows += len(rows)
            self._count += np.bincount(rows.indices, minlength=width)
            self._sum += np.bincount(rows.indices, numbers, width)
            self._squares += np.bincount(rows.indices, numbers**2, width)
            np.minimum.at(self._min, rows.indices, numbers)
            np.maximum.at(self._max, rows.indices, numbers)
            for value, times in zip(*map(np.ndarray.tolist, np.unique(numbers, return_counts=True)), strict=True):
                self._values[value] = self._values.get(value, 0) + times
        missing = self._count < self._rows
        self._min[missing], self._max[missing] = np.minimum(self._min, 0)[missing], np.maximum(self._max, 0)[missing]

    @property
    def _zeros(self) -> np.ndarray:
        return self._rows - self._count

    def dimensions(self) -> Dimensions:
        """Of each dimension."""
        mean = self._sum / self._rows
        std = np.sqrt(np.maximum(self._squares / self._rows - mean**2, 0))
        columns = (self._min, self._max, mean, std, self._zeros / self._rows)
        low, high, means, spread, zeros = (listed(column) for column in columns)
        return Dimensions(min=low, max=high, mean=means, std=spread, zeros=zeros)

    def together(self) -> Numbers:
        """Of all dimensions together."""
        total = self._rows * len(self._count)
        mean = float(self._sum.sum()) / total
        return Numbers(
            min=float(self._min.min()),
            max=float(self._max.max()),
            mean=mean,
            std=float(np.sqrt(max(float(self._squares.sum()) / total - mean**2, 0.0))),
            zeros=int(self._zeros.sum()) / total,
        )

    @property
    def constant(self) -> int:
        """Dimensions with one value only."""
        return int(np.count_nonzero(self._min == self._max)) if self._rows > 1 else 0

    def histogram(self) -> tuple[float, Histogram]:
        """(median, histogram) of all numbers, which are whole: sums of ones."""
        times_of = {**self._values, 0.0: self._values.get(0.0, 0) + int(self._zeros.sum())}
        numbers = np.array(sorted(value for value, times in times_of.items() if times))
        times = np.array([times_of[number] for number in numbers.tolist()])
        median = float(numbers[np.searchsorted(np.cumsum(times), times.sum() / 2)])
        low, high = float(numbers[0]), float(numbers[-1])
        if low == high:
            return median, Histogram(low=low, high=high, counts=[int(times.sum())])
        bins = min(int(high - low) + 1, BINS)
        counts, bounds = np.histogram(numbers, bins, (low - 0.5, high + 0.5), weights=times)
        return median, Histogram(low=float(bounds[0]), high=float(bounds[-1]), counts=counts.astype(int).tolist())


def sparse_profile(column: Pieces, schema: FeatureSchema, runs: Runs) -> FeatureProfile:
    """Statistics of some rows of a feature, at least one."""
    moments = EntryMoments(schema.width)
    moments.add(column, runs)
    median, histogram = moments.histogram()
    dimensions, categories = summarised(moments.dimensions(), categories_of(schema))
    encode = schema.fitted.get("encode")
    return FeatureProfile(
        width=schema.width,
        dtype=schema.dtype,
        encode=None if encode is None else str(encode),
        rows_seen=rows_in(runs),
        numbers=moments.together(),
        constant=moments.constant,
        median=median,
        histogram=histogram,
        histogram_rows=rows_in(runs),
        dimensions=dimensions,
        categories=categories,
    )
