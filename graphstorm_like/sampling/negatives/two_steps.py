"""Scores as sums over paths of two steps: over common neighbours, or over words in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.negatives.best import Sparse
from graphstorm_like.sampling.negatives.paths import Table

PATHS = 4_000_000
"""Paths that are followed at once: 100 MB. One source with more is a block of its own."""


@dataclass(frozen=True)
class TwoSteps:
    """score(s, t) = sum over x of first[s, x] * second[x, t]; see Scorer. at: row of the first source in `first`;
    targets: columns of `second`. Only what is on a path is computed."""

    first: Table
    second: Table
    at: int
    targets: slice

    def blocks(self, sources: IntArray) -> Iterator[IntArray]:
        """See Scorer."""
        lengths = np.diff(self.second.starts)
        up_to = np.concatenate([[0], np.cumsum(lengths[self.first.columns])])
        rows = sources + self.at
        paths = np.cumsum(up_to[self.first.starts[rows + 1]] - up_to[self.first.starts[rows]])
        blocks = np.split(sources, np.flatnonzero(np.diff(paths // PATHS, prepend=0)))
        yield from (block for block in blocks if len(block))

    def pieces(self, sources: IntArray) -> Iterator[Sparse]:
        """See Scorer: one."""
        found = self.first.steps(np.arange(len(sources)), sources + self.at, np.ones(len(sources)))
        rows, ends, mass = self.second.steps(*found)
        of_type = (ends >= self.targets.start) & (ends < self.targets.stop)
        count = self.targets.stop - self.targets.start
        yield Sparse.summed(rows[of_type], ends[of_type] - self.targets.start, mass[of_type], count)
