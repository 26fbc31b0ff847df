"""Bootstrap intervals of anything that follows from sums over rows.

Rows are dealt at random into blocks whose sums are kept, and blocks are drawn with replacement: with a block a row
it is the usual bootstrap of rows; with more rows the spread is the same, and any metric costs milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCKS, SAMPLES, SEED = 100, 500, 20_240_501
LOW, HIGH = 2.5, 97.5
"""Percent of the samples that lie below the ends of an interval"""
NORMAL_QUANTILE = 1.959964
"""Of 97.5 %: a 95 % interval reaches so many standard errors to both sides"""


def blocks(rows: int) -> Iterator[Ints]:
    """Rows 0..rows-1 dealt into blocks, the same each time."""
    order = np.random.default_rng(SEED).permutation(rows)
    yield from np.array_split(order, min(rows, BLOCKS))


def sample_values(sums: Floats, value: Callable[[Floats], float]) -> Floats:
    """[SAMPLES] values of samples of blocks. sums: [blocks, m]; value: of a vector of sums [m]."""
    rng, count = np.random.default_rng(SEED + 1), len(sums)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=SAMPLES)
    return np.array([value(total) for total in drawn @ sums])


def interval(values: Floats) -> tuple[float, float] | None:
    """The middle 95 % of the values; None when all are the same, which says nothing of the next rows."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return None
    low, high = np.percentile(finite, [LOW, HIGH])
    return (float(low), float(high)) if low < high else None


def mean_interval(values: Floats) -> tuple[float, float] | None:
    """Of the mean of some numbers; None of fewer than two."""
    if len(values) < 2:
        return None
    sums = np.array([[values[rows].sum(), len(rows)] for rows in blocks(len(values))])
    return interval(sample_values(sums, lambda total: float(total[0] / total[1])))


def mean_of_samples(samples: Sequence[Floats]) -> Floats:
    """Samples of a mean over independent parts, such as relations."""
    mean: Floats = np.mean(np.stack(samples), axis=0)
    return mean


def wilson(hits: int, rows: int) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval (1927) of a share of rows, which holds for few rows and for shares of 0 and 1; None
    without rows."""
    if not rows:
        return None
    share, square = hits / rows, NORMAL_QUANTILE**2
    middle = share + square / (2 * rows)
    reach = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / rows + square / (4 * rows**2))
    scale = 1 + square / rows
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)
