"""The best wrong targets of each source, from scores that come piece by piece and are never all in memory.

A piece has the scores of some sources for a stretch of the targets (`Dense`), or for all targets that score above 0
(`Sparse`). Of each piece only the best of a row stay, and join the best of the pieces before: the result is that of all
scores at once. Equal scores: the target with the lower number first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.negatives import MinedNegativesConfig
from graphstorm_like.graph.store import IntArray

Scores: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

BLOCK = 16_000_000
"""Scores that are held at once: 64 MB."""


@dataclass(frozen=True)
class Pairs:
    """Some pairs: rows [p] of a block of sources, and targets [p]."""

    rows: IntArray
    targets: IntArray


@dataclass(frozen=True)
class Sparse:
    """Scores [p] of pairs, each of which comes once, in ascending order of `keys`: row * num_targets + target. All
    other pairs score 0."""

    keys: IntArray
    scores: Scores
    num_targets: int

    @staticmethod
    def summed(rows: IntArray, targets: IntArray, mass: npt.NDArray[np.float64], num_targets: int) -> Sparse:
        """Of masses that belong to pairs: their sums."""
        keys, inverse = np.unique(rows * num_targets + targets, return_inverse=True)
        sums = np.bincount(inverse, weights=mass, minlength=len(keys))
        return Sparse(keys, sums.astype(np.float32), num_targets)

    def at(self, pairs: Pairs) -> Iterator[tuple[IntArray, Scores]]:
        """Rows and scores of those of some pairs that score."""
        places, found = self._places(pairs)
        yield pairs.rows[found], self.scores[places[found]]

    def wrong(self, true: Pairs, limit: Scores | None, wanted: int, positive: bool) -> Best:
        """See Dense."""
        kept = self.scores > 0
        places, found = self._places(true)
        kept[places[found]] = False
        rows = self.keys // self.num_targets
        if limit is not None:
            kept &= self.scores < limit[rows]
        return Best(rows[kept], self.keys[kept] % self.num_targets, self.scores[kept]).cut(wanted)

    def _places(self, pairs: Pairs) -> tuple[IntArray, Mask]:
        wanted = pairs.rows * self.num_targets + pairs.targets
        if not len(self.keys):
            return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return places, self.keys[places] == wanted


@dataclass(frozen=True)
class Dense:
    """Scores [n, m] of the m targets from `first` on; an array of its own, which is changed."""

    scores: Scores
    first: int = 0

    def at(self, pairs: Pairs) -> Iterator[tuple[IntArray, Scores]]:
        """Rows and scores of those of some pairs that are here."""
        rows, columns = self._here(pairs)
        yield rows, self.scores[rows, columns]

    def wrong(self, true: Pairs, limit: Scores | None, wanted: int, positive: bool) -> Best:
        """The `wanted` best of each row, without `true` pairs, those that score at least limit [n], and (positive)
        those that do not score above 0."""
        scores = self.scores
        rows, columns = self._here(true)
        scores[rows, columns] = -np.inf
        if positive:
            scores[scores <= 0] = -np.inf
        if limit is not None:
            scores[scores >= limit[:, None]] = -np.inf
        last = max(scores.shape[1] - wanted, 0)
        bound = np.partition(scores, last, axis=1)[:, last]
        rows, columns = np.nonzero((scores >= bound[:, None]) & (scores > -np.inf))
        return Best(rows, columns + self.first, scores[rows, columns]).cut(wanted)

    def _here(self, pairs: Pairs) -> tuple[IntArray, IntArray]:
        here = (pairs.targets >= self.first) & (pairs.targets < self.first + self.scores.shape[1])
        return pairs.rows[here], pairs.targets[here] - self.first


class Scorer(Protocol):
    """Scores sources for all targets."""

    def blocks(self, sources: IntArray) -> Iterable[IntArray]:
        """Stretches of some sources whose scores are made together."""
        ...

    def pieces(self, sources: IntArray) -> Iterator[Sparse | Dense]:
        """The scores of a block; of several pieces each has other targets. Can be asked again."""
        ...


@dataclass(frozen=True)
class Best:
    """The best of each row so far: rows [p], ascending, targets and scores [p], the best first."""

    rows: IntArray
    targets: IntArray
    scores: Scores

    def cut(self, wanted: int) -> Best:
        """The `wanted` best of each row."""
        order = np.lexsort((self.targets, -self.scores, self.rows))
        rows = self.rows[order]
        order = order[_places_in_rows(rows) < wanted]
        return Best(self.rows[order], self.targets[order], self.scores[order])

    def joined(self, other: Best, wanted: int) -> Best:
        """The best of both."""
        rows, targets = np.concatenate([self.rows, other.rows]), np.concatenate([self.targets, other.targets])
        return Best(rows, targets, np.concatenate([self.scores, other.scores])).cut(wanted)

    def lists(self, count: int, skip: int, length: int) -> IntArray:
        """[count, length] targets of each row, without the `skip` best; -1: there are no more."""
        places = _places_in_rows(self.rows) - skip
        lists = np.full((count, length), -1, dtype=np.int64)
        inside = (places >= 0) & (places < length)
        lists[self.rows[inside], places[inside]] = self.targets[inside]
        return lists


def _places_in_rows(rows: IntArray) -> IntArray:
    """[p]: the number of each entry among those of its row. rows: ascending."""
    numbers = np.arange(len(rows))
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = rows[1:] != rows[:-1]
    places: IntArray = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
    return places


def best_wrong(
    pieces: Callable[[], Iterator[Sparse | Dense]],
    known: Pairs,
    own: IntArray | None,
    count: int,
    config: MinedNegativesConfig,
    positive: bool,
) -> IntArray:
    """[count, candidates] lists of a block of sources; -1: none. known: training targets; own [count]: the sources,
    where they are targets too. positive: only targets whose score is above 0.

    The guard `below` needs the score of the best training target before anything can be dropped: all pieces are then
    made twice.
    """
    limit = None if config.below is None else _limit(pieces(), known, count, config.below)
    true = known
    if own is not None:
        true = Pairs(np.concatenate([known.rows, np.arange(count)]), np.concatenate([known.targets, own]))
    wanted = config.candidates + config.skip
    nothing = np.empty(0, dtype=np.int64)
    best = Best(nothing, nothing, np.empty(0, dtype=np.float32))
    for piece in pieces():
        best = best.joined(piece.wrong(true, limit, wanted, positive), wanted)
    return best.lists(count, config.skip, config.candidates)


def _limit(pieces: Iterator[Sparse | Dense], known: Pairs, count: int, below: float) -> Scores:
    """[count]: the score that a target must stay under; -inf where training targets score nothing."""
    best = np.full(count, -np.inf, dtype=np.float32)
    for piece in pieces:
        for rows, scores in piece.at(known):
            np.maximum.at(best, rows, scores)
    # Of negative scores, below * best would be above the best.
    there = best > -np.inf
    best[there] -= np.float32(1.0 - below) * np.abs(best[there])
    return best
