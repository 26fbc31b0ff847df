"""Which rows a step is about: a shuffled pass over ids, cut into batches, the same for any number of workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.rng import stream


@dataclass(frozen=True, slots=True)
class SeedStream:
    """Batches of `ids` (node ids or edge ids) for one rank.

    With shuffle each epoch is a new permutation, drawn from (seed, epoch) alone, so that ranks cut one shuffle into
    disjoint parts. All ranks take the same number of steps: of the rows that do not divide evenly the shuffle's
    first fill up. Without shuffle (evaluation) every row comes exactly once.
    """

    ids: IntArray
    batch_size: int
    seed: int
    shuffle: bool = True
    rank: int = 0
    world_size: int = 1

    @property
    def size(self) -> int:
        """Ids an epoch, of all ranks."""
        return len(self.ids)

    @property
    def steps(self) -> int:
        """Batches an epoch, on every rank."""
        per_rank = -(-self.size // self.world_size)
        return -(-per_rank // self.batch_size)

    def epoch_ids(self, epoch: int) -> IntArray:
        """The ids of an epoch, of all ranks, before they are shuffled."""
        return self.ids

    def epoch_order(self, epoch: int) -> IntArray:
        """This rank's ids of an epoch, in order."""
        ids = self.epoch_ids(epoch)
        if not self.shuffle:
            return ids[self.rank :: self.world_size]
        order = stream(self.seed, "shuffle", epoch).permutation(len(ids))
        short = -len(order) % self.world_size
        mine: IntArray = ids[np.resize(order, len(order) + short)[self.rank :: self.world_size]]
        return mine


@dataclass(frozen=True, slots=True)
class CappedSeedStream(SeedStream):
    """A SeedStream whose epochs take at most `most` ids of each group, drawn anew each epoch for all ranks alike.

    groups: sizes of the groups, which follow each other in `ids`.
    """

    groups: tuple[int, ...] = ()
    most: int = 1

    @property
    def size(self) -> int:
        """Ids an epoch, of all ranks."""
        return sum(min(count, self.most) for count in self.groups)

    def epoch_ids(self, epoch: int) -> IntArray:
        """The ids of an epoch, of all ranks, before they are shuffled."""
        rng, parts, start = stream(self.seed, "edges", epoch), [self.ids[:0]], 0
        for count in self.groups:
            rows = slice(start, start + count)
            drawn = self.ids[rows]
            if count > self.most:
                drawn = drawn[rng.choice(count, self.most, replace=False, shuffle=False)]
            parts.append(drawn)
            start += count
        return np.concatenate(parts)
