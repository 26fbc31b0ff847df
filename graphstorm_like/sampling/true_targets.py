"""The known true targets of each source, which are excluded from the negatives in training and from the candidates in
ranking."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.store import IntArray
from graphstorm_like.ranges import ranges


class TrueTargets:
    """The known true targets of each source, as CSR; built from the ends of edges. Where most nodes have no edge, as
    with many relations, it takes memory by edges, not by nodes."""

    def __init__(self, source: IntArray, target: IntArray, num_sources: int) -> None:
        order = np.argsort(source, kind="stable")
        self.targets = target[order]
        self._sources = source[order] if len(source) < num_sources else None
        self._starts = np.zeros(0, dtype=np.int64)
        if self._sources is None:
            self._starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=num_sources))])

    def pairs(self, sources: IntArray) -> tuple[IntArray, IntArray]:
        """(row in `sources`, known target) for all known targets of the given sources."""
        if self._sources is None:
            start, end = self._starts[sources], self._starts[sources + 1]
        else:
            start, end = (np.searchsorted(self._sources, sources, side=side) for side in ("left", "right"))
        count = end - start
        return np.repeat(np.arange(len(sources)), count), self.targets[ranges(start, count)[0]]

    def mask(self, sources: IntArray, candidates: IntArray, also: IntArray | None = None) -> npt.NDArray[np.bool_]:
        """[B, C]: candidate j is a known target of source i, or also[i].

        Costs the number of known pairs, not B * C comparisons.
        """
        rows, targets = self.pairs(sources)
        if also is not None:
            rows, targets = np.concatenate([rows, np.arange(len(sources))]), np.concatenate([targets, also])
        order = np.argsort(candidates, kind="stable")
        ordered = candidates[order]
        first = np.searchsorted(ordered, targets, side="left")
        count = np.searchsorted(ordered, targets, side="right") - first
        places, _ = ranges(first, count)
        mask = np.zeros((len(sources), len(candidates)), dtype=np.bool_)
        mask[np.repeat(rows, count), order[places]] = True
        return mask
