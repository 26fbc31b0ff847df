"""Statistics and histograms of numbers, block by block.

In: float64 (width, rows) blocks. Sums are taken around the first block's means, so that large numbers of little spread
keep their digits.
"""

from __future__ import annotations

import math

import numpy as np

from gconstruct.report.model import LISTED_DIMENSIONS, Dimensions, FeatureProfile, Histogram, Numbers, Spread
from gconstruct.report.rows import Matrix, Pieces, rows_in, sample_runs
from graphstorm_like.graph.schema import FeatureSchema

BINS = 32
_OUTSIDE = 0.005
"""Share of a sample at either end that a histogram's bounds leave out when it lies far away"""
SEEN_VALUES = 1 << 25
"""Numbers of a type's features that statistics are made of; tables with more are sampled"""
HISTOGRAM_VALUES = 1 << 22
"""Numbers of a type's features that histograms are made of"""
MIN_SEEN, MIN_HISTOGRAM_ROWS, MAX_HISTOGRAM_ROWS = 50_000, 1_000, 50_000


class Moments:
    """min, max, mean, std and zeros of each of `width` dimensions."""

    def __init__(self, width: int) -> None:
        self._shift: np.ndarray | None = None
        self._count, self._zeros = np.zeros(width, np.int64), np.zeros(width, np.int64)
        self._sum, self._squares = np.zeros(width), np.zeros(width)
        self._min, self._max = np.full(width, np.inf), np.full(width, -np.inf)
        self.not_finite = 0

    def add(self, block: np.ndarray) -> None:
        """Numbers (width, rows)."""
        low = high = block
        count = np.full(len(block), block.shape[1], np.int64)
        with np.errstate(invalid="ignore"):  # of inf - inf
            sums = block.sum(axis=1)
        finite = None
        if not np.isfinite(sums).all():  # float32 numbers cannot overflow a float64 sum
            finite = np.isfinite(block)
            low, high = np.where(finite, block, np.inf), np.where(finite, block, -np.inf)
            count, sums = np.count_nonzero(finite, axis=1), np.where(finite, block, 0).sum(axis=1)
            self.not_finite += int(block.size - count.sum())
        if self._shift is None:
            self._shift = sums / np.maximum(count, 1)
        centred = block - self._shift[:, None]
        if finite is not None:
            centred[~finite] = 0
        self._count += count
        self._zeros += block.shape[1] - np.count_nonzero(block, axis=1)
        self._sum += sums - self._shift * count
        self._squares += np.einsum("ij,ij->i", centred, centred)
        np.minimum(self._min, low.min(axis=1), out=self._min)
        np.maximum(self._max, high.max(axis=1), out=self._max)

    def dimensions(self) -> Dimensions:
        """Of each dimension."""
        assert self._shift is not None
        count = np.where(self._count > 0, self._count, np.nan)
        offset = self._sum / count
        std = np.sqrt(np.maximum(self._squares / count - offset**2, 0))
        std[self._min == self._max] = 0
        columns = (self._min, self._max, self._shift + offset, std, self._zeros / count)
        low, high, mean, spread, zeros = (listed(column) for column in columns)
        return Dimensions(min=low, max=high, mean=mean, std=spread, zeros=zeros)

    def together(self) -> Numbers:
        """Of all dimensions together."""
        total = int(self._count.sum())
        if self._shift is None or not total:
            return Numbers(not_finite=self.not_finite)
        seen = self._count > 0
        mean = float((self._shift[seen] * self._count[seen] + self._sum[seen]).sum()) / total
        # Around the common mean: E(x - m)^2 = E(x - s)^2 + 2 (s - m) E(x - s) + (s - m)^2
        away = self._shift[seen] - mean
        squares = self._squares[seen] + 2 * away * self._sum[seen] + away**2 * self._count[seen]
        low, high = float(self._min.min()), float(self._max.max())
        return Numbers(
            min=low,
            max=high,
            mean=min(max(mean, low), high),
            std=0.0 if low == high else math.sqrt(max(float(squares.sum()) / total, 0.0)),
            zeros=int(self._zeros.sum()) / total,
            not_finite=self.not_finite,
        )

    @property
    def constant(self) -> int:
        """Dimensions with one value only."""
        return int(np.count_nonzero((self._min == self._max) & (self._count > 1)))


def summarised(dimensions: Dimensions, categories: list[str] | None) -> tuple[Dimensions, list[str] | None]:
    """Return (statistics, categories) of a feature: of a wide one those of some dimensions, and how all are spread."""
    width = len(dimensions.mean)
    if width <= LISTED_DIMENSIONS:
        return dimensions, categories
    at = list(range(LISTED_DIMENSIONS))
    if categories is not None:
        at = sorted(range(width), key=lambda i: -(dimensions.mean[i] or 0.0))[:LISTED_DIMENSIONS]
    kept, spread = {}, {}
    for name in ("min", "max", "mean", "std", "zeros"):
        values = getattr(dimensions, name)
        kept[name] = [values[i] for i in at]
        known = [value for value in values if value is not None]
        ends = np.percentile(known, [0, 25, 50, 75, 100]).tolist() if known else [None] * 5
        spread[name] = Spread(min=ends[0], p25=ends[1], median=ends[2], p75=ends[3], max=ends[4])
    names = None if categories is None else [categories[i] for i in at]
    return Dimensions(at=at, spread=spread, **kept), names


def listed(numbers: np.ndarray) -> list[float | None]:
    """Numbers for JSON: None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in numbers.tolist()]


def histogram(values: np.ndarray, bins: int = BINS) -> Histogram | None:
    """Of finite numbers (n); None when there are none."""
    return histogram_of_sorted(np.sort(values), bins)


def histogram_of_sorted(values: np.ndarray, bins: int = BINS) -> Histogram | None:
    """Of ascending numbers (n). Bounds leave out up to 0.5 % at either end, if that makes them less than a third as
    wide; whole numbers of few values get a bin each."""
    if not values.size:
        return None
    low, high = float(values[0]), float(values[-1])
    skipped = int(_OUTSIDE * len(values))
    inner_low, inner_high = float(values[skipped]), float(values[-1 - skipped])
    if 0 < inner_high - inner_low < (high - low) / 3:
        low, high = inner_low, inner_high
    if low == high:
        return Histogram(low=low, high=high, counts=[int(values.size)])
    if high - low < bins and low.is_integer() and bool((values == np.rint(values)).all()):
        low, high = low - 0.5, float(np.floor(high)) + 0.5
        bins = int(high - low)
    below, above = int(np.searchsorted(values, low)), len(values) - int(np.searchsorted(values, high, side="right"))
    bounds = low + np.arange(1, bins) * ((high - low) / bins)
    counts = np.diff(np.searchsorted(values, bounds), prepend=0, append=len(values))
    return Histogram(low=low, high=high, counts=counts.tolist(), below=below, above=above)


def feature_profile(column: Pieces, schema: FeatureSchema, share_of_values: float) -> FeatureProfile:
    """Statistics of a feature. share_of_values: how much of the budget of its type's features it may use, 0 to 1."""
    width, num_rows, bfloat16 = schema.width, len(column), schema.dtype == "bfloat16"
    seen = max(MIN_SEEN, int(SEEN_VALUES * share_of_values / max(width, 1)))
    runs = sample_runs(num_rows, seen)
    if not num_rows or not width:
        return FeatureProfile(width=width, dtype=schema.dtype, rows_seen=0, numbers=Numbers())
    moments = Moments(width)
    matrix = Matrix(column, width, bfloat16)
    for block in matrix.blocks(runs):
        moments.add(block)
    few = max(MIN_HISTOGRAM_ROWS, min(int(HISTOGRAM_VALUES * share_of_values / width), MAX_HISTOGRAM_ROWS))
    runs_of_histogram = sample_runs(num_rows, few)
    sample = np.sort(matrix.sample(runs_of_histogram))
    encode = schema.fitted.get("encode")
    dimensions, categories = None, categories_of(schema)
    if width > 1:
        dimensions, categories = summarised(moments.dimensions(), categories)
    return FeatureProfile(
        width=width,
        dtype=schema.dtype,
        encode=None if encode is None else str(encode),
        rows_seen=rows_in(runs),
        numbers=moments.together(),
        constant=moments.constant,
        median=float(sample[len(sample) // 2]) if sample.size else None,
        histogram=histogram_of_sorted(sample),
        histogram_rows=rows_in(runs_of_histogram),
        dimensions=dimensions,
        fitted=_fitted(schema) if width == 1 else {},
        categories=categories,
    )


def _fitted(schema: FeatureSchema) -> dict[str, float]:
    """What a scaled feature's column was like."""
    out = {}
    for name in ("mean", "std", "min", "max"):
        value = schema.fitted.get(name)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(value, int | float) and math.isfinite(value):
            out[name] = float(value)
    return out


def categories_of(schema: FeatureSchema) -> list[str] | None:
    """What each dimension stands for; the last one may be for all others."""
    categories = schema.fitted.get("categories")
    if not isinstance(categories, list) or schema.width - len(categories) not in (0, 1):
        return None
    names = [str(name) for name in categories]
    return names if len(names) == schema.width else [*names, "other"]
