"""Scores of rows in buckets of something that is known of them: degrees, lengths of texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from graphstorm_like.reports.intervals import mean_interval
from graphstorm_like.reports.model import Bin, Bucket, Ranks

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_BUCKETS = 10
RANK_BOUNDS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000)
"""Last ranks of the bins of a histogram"""


def power_buckets(values: Ints, first: int = 1) -> list[tuple[str, Ints]]:
    """(label, rows) of the buckets that have rows: 0, below `first`, then doubling: [f, 2f), [2f, 4f) ..., the last
    one open."""
    bounds = [0, 1] if first == 1 else [0, 1, first]
    while len(bounds) < MOST_BUCKETS:
        bounds.append(bounds[-1] * 2)
    at = np.searchsorted(np.array(bounds), values, side="right") - 1
    found = []
    for i, low in enumerate(bounds):
        rows = np.flatnonzero(at == i)
        if len(rows):
            last = i + 1 == len(bounds)
            found.append((f"≥ {low:,}" if last else _label(low, bounds[i + 1] - 1), rows))
    return found


def _label(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} – {high:,}"


def bucket_scores(measured: Floats, buckets: list[tuple[str, Ints]]) -> list[Bucket]:
    """The mean of what was measured for each row, by bucket."""
    scored = []
    for label, rows in buckets:
        found = mean_interval(measured[rows])
        low, high = found if found is not None else (None, None)
        scored.append(Bucket(label=label, rows=len(rows), value=float(measured[rows].mean()), low=low, high=high))
    return scored


def rank_histogram(ranks: Floats) -> Ranks:
    """Ranks in bins that grow. A rank may lie between whole numbers, where scores are equal."""
    return Ranks(median=float(np.median(ranks)), bins=list(_rank_bins(ranks)))


def _rank_bins(ranks: Floats) -> Iterator[Bin]:
    first, top = 1, float(ranks.max())
    for last in RANK_BOUNDS:
        rows = int(np.count_nonzero((ranks >= first) & (ranks < last + 1)))
        yield Bin(low=first, high=last, rows=rows)
        first = last + 1
        if first > top:
            return
    yield Bin(low=first, high=top, rows=int(np.count_nonzero(ranks >= first)))


def histogram(values: Floats, count: int = 40) -> list[Bin]:
    """Bins of equal width over the middle 99 %; the first and the last also hold what lies beyond."""
    low, high = (float(v) for v in np.percentile(values, [0.5, 99.5]))
    if low == high:
        return [Bin(low=low, high=high, rows=len(values))]
    counts, edges = np.histogram(np.clip(values, low, high), bins=count, range=(low, high))
    return [
        Bin(low=float(a), high=float(b), rows=int(n)) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
