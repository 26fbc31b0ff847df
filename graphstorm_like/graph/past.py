"""Neighbourhoods from the past alone: what a temporal sample is asked for, and how a partition answers.

Every seed has a bound, its own point in time, and no edge of its neighbourhood is later, on any hop: the bound of a
neighbour is that of the seed that it was reached from (as in PyG's temporal sampling), not the time of the edge that
led to it. So one node may be in a batch several times, once a bound; those that share a bound share their neighbours.

    seeds' bounds -> HopRequest (a bound a row, and a Past) -> Hop with the times of its edges -> Relation.ages

What is drawn depends on step, edge type, node and bound alone, whoever asks and wherever the partition is read. Edge
types without a time are always there. Times of a graph are int64 microseconds, or float64 (`schema.TimeSchema`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.schema import always

IntArray: TypeAlias = npt.NDArray[np.int64]
Times: TypeAlias = npt.NDArray[Any]
"""int64 microseconds since 1970, or float64 numbers."""
DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Past:
    """Which edges of one type may be drawn for a target with a bound: those of `bound - window` to `bound`, both ends
    included; without `window` all up to the bound; with `strict` only those before it. latest: the most recent ones are
    taken, of equal times those that stand last; else any of them, uniformly."""

    latest: bool = False
    window: float | None = None
    """In the unit of the times."""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """The bounds [S] of seeds by node type, and what may be drawn, by edge type; `default` for types not listed."""

    seeds: Mapping[str, Times]
    default: Past = Past()
    by_edge_type: Mapping[EdgeType, Past] = field(default_factory=dict)

    def of(self, edge_type: EdgeType) -> Past:
        """What may be drawn of an edge type."""
        return self.by_edge_type.get(edge_type, self.default)


@dataclass(frozen=True, slots=True)
class HopRequest:
    """Up to `fanout` (-1: all) in-edges of one type for each of some target rows [S]; with bounds [S], of its past."""

    edge_type: EdgeType
    rows: IntArray
    fanout: int
    bounds: Times | None = None
    past: Past = Past()


def end(dtype: Any) -> Any:
    """A bound after all times."""
    return np.iinfo(np.int64).max if np.dtype(dtype).kind == "i" else np.inf


def just_before(time: Any, dtype: Any) -> Any:
    """The last bound at which what is of `time` is not there yet."""
    return int(time) - 1 if np.dtype(dtype).kind == "i" else float(np.nextafter(time, -np.inf))


def ages(bounds: Times, times: Times) -> npt.NDArray[np.float32]:
    """[E] bound - time: in days where times are moments, else in their own unit. 0 for what is always there, and for
    bounds after all times."""
    known = (times != always(times.dtype)) & (bounds != end(bounds.dtype))
    difference = np.where(known, bounds, 0) - np.where(known, times, 0)
    scaled = difference / DAY if times.dtype.kind == "i" else difference
    return scaled.astype(np.float32)


def past_ranges(
    indptr: IntArray, times: Times, targets: IntArray, bounds: Times, past: Past
) -> tuple[IntArray, IntArray]:
    """(first, stop) [S] of the edges of each target that are in its past. times [E]: of the edges, ascending within a
    target."""
    first = np.asarray(indptr[targets], dtype=np.int64)
    stop = np.asarray(indptr[targets + 1], dtype=np.int64)
    latest = _places(times, first, stop, bounds, after_equal=not past.strict)
    if past.window is None:
        return first, latest
    least = bounds - np.asarray(past.window, dtype=times.dtype)
    if times.dtype.kind == "i":  # of bounds near the ends of int64
        least = np.where(least > bounds, always(times.dtype), least)
    earliest = _places(times, first, latest, least, after_equal=False)
    return earliest, latest


def _places(times: Times, low: IntArray, high: IntArray, bounds: Times, after_equal: bool) -> IntArray:
    """The first place [S] in low..high-1 whose time is beyond the bound, or high. Binary search, all rows at once: some
    log2 of the largest degree rounds."""
    low, high = low.copy(), high.copy()
    rows = np.flatnonzero(low < high)
    while len(rows):
        middle = (low[rows] + high[rows]) // 2
        at, bound = times[middle], bounds[rows]
        goes_on = at <= bound if after_equal else at < bound
        low[rows[goes_on]] = middle[goes_on] + 1
        high[rows[~goes_on]] = middle[~goes_on]
        rows = rows[low[rows] < high[rows]]
    return low


def in_time_order(indptr: IntArray, times: Times) -> IntArray | None:
    """An order [E] of the edges in which those of each target ascend in time, and equal times keep their order; None:
    they stand so already."""
    falls = np.flatnonzero(times[1:] < times[:-1]) + 1
    if not len(np.setdiff1d(falls, indptr, assume_unique=False)):
        return None
    target = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.lexsort((times, target)).astype(np.int64)
