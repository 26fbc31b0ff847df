"""The rows of each step: a shuffled pass over ids, cut into batches, the same for any number of processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.rng import stream


@dataclass(frozen=True, slots=True)
class RankSlice:
    """The part of a step's rows that one of `size` ranks takes: a contiguous block of the ascending ids.

    Ids and ranks both count through the partitions, so that most of a rank's rows lie on its own host.
    """

    rank: int = 0
    size: int = 1

    def of(self, rows: IntArray) -> IntArray:
        """This rank's rows."""
        mine: IntArray = self.arranged(rows)[self.ranks(len(rows)) == self.rank]
        return mine

    def arranged(self, rows: IntArray) -> IntArray:
        """The rows in the order in which ranks take them: ascending; a single rank keeps the given order."""
        return rows if self.size == 1 else np.sort(rows)

    def ranks(self, count: int) -> IntArray:
        """[count]: the rank that takes each of `count` ascending rows."""
        return (np.arange(count) * self.size) // max(count, 1)


ALL_ROWS = RankSlice()


@dataclass(frozen=True, slots=True)
class SeedStream:
    """Batches of `ids` (node ids or edge ids) for all ranks together: each rank takes its RankSlice of a batch.

    With shuffle, each epoch is a new permutation, drawn from (seed, epoch) alone. So any number of ranks takes the same
    steps over the same rows, and every row comes exactly once.
    """

    ids: IntArray
    batch_size: int
    seed: int
    shuffle: bool = True

    @property
    def size(self) -> int:
        """Ids per epoch."""
        return len(self.ids)

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-self.size // self.batch_size)

    def epoch_ids(self, epoch: int) -> IntArray:
        """The ids of an epoch, before they are shuffled."""
        return self.ids

    def epoch_order(self, epoch: int) -> IntArray:
        """The ids of an epoch, in order."""
        ids = self.epoch_ids(epoch)
        if not self.shuffle:
            return ids
        order = ids.copy()  # and not ids[permutation]: there may be a billion
        stream(self.seed, "shuffle", epoch).shuffle(order)
        return order


@dataclass(frozen=True, slots=True)
class CappedSeedStream(SeedStream):
    """A SeedStream whose epochs take at most `most` ids of each group, drawn again for each epoch.

    groups: sizes of the groups, which follow each other in `ids`.
    """

    groups: tuple[int, ...] = ()
    most: int = 1

    @property
    def size(self) -> int:
        """Ids per epoch."""
        return sum(min(count, self.most) for count in self.groups)

    def epoch_ids(self, epoch: int) -> IntArray:
        """The ids of an epoch, before they are shuffled."""
        rng, parts, start = stream(self.seed, "edges", epoch), [self.ids[:0]], 0
        for count in self.groups:
            rows = slice(start, start + count)
            drawn = self.ids[rows]
            if count > self.most:
                drawn = drawn[rng.choice(count, self.most, replace=False, shuffle=False)]
            parts.append(drawn)
            start += count
        return np.concatenate(parts)
