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
    def steps(self) -> int:
        """Batches an epoch, on every rank."""
        per_rank = -(-len(self.ids) // self.world_size)
        return -(-per_rank // self.batch_size)

    def epoch_order(self, epoch: int) -> IntArray:
        """This rank's ids of an epoch, in order."""
        if not self.shuffle:
            return self.ids[self.rank :: self.world_size]
        order = stream(self.seed, "shuffle", epoch).permutation(len(self.ids))
        short = -len(order) % self.world_size
        mine: IntArray = self.ids[np.resize(order, len(order) + short)[self.rank :: self.world_size]]
        return mine
