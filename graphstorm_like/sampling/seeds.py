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

    def step_ids(self, order: IntArray, step: int) -> IntArray:
        """The ids of a step. order: what `epoch_order` gives."""
        return order[step * self.batch_size : (step + 1) * self.batch_size]

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


@dataclass(frozen=True, slots=True)
class SnapshotSeedStream(SeedStream):
    """A SeedStream that goes through groups of ids in order: `epochs` on each, and on the last all that follow. An
    epoch has as many steps as one over the largest group; smaller ones are passed several times, each time in a new
    order, and no step lies in two passes.

    groups: sizes of the groups, which follow each other in `ids`. Where a pass does not fill its last step, the order
    of an epoch has gaps (-1).
    """

    groups: tuple[int, ...] = ()
    epochs: int = 1

    @property
    def size(self) -> int:
        """Ids per epoch of the largest group."""
        return max(self.groups)

    def step_ids(self, order: IntArray, step: int) -> IntArray:
        """The ids of a step, without gaps."""
        ids = SeedStream.step_ids(self, order, step)
        return ids[ids >= 0]

    def epoch_order(self, epoch: int) -> IntArray:
        """The ids of an epoch, in order."""
        number = min(epoch // self.epochs, len(self.groups) - 1)
        start, count = sum(self.groups[:number]), self.groups[number]
        of_pass = -(-count // self.batch_size)  # steps
        parts = []
        for again in range(-(-self.steps // of_pass)):
            order = np.full(of_pass * self.batch_size, -1, dtype=np.int64)
            order[:count] = self.ids[start : start + count]
            if self.shuffle:
                stream(self.seed, "shuffle", epoch, again).shuffle(order[:count])
            parts.append(order)
        return np.concatenate(parts)[: self.steps * self.batch_size]


@dataclass(frozen=True, slots=True)
class JoinedSeedStream(SeedStream):
    """Several streams side by side: a step takes a batch of each. An epoch is one pass over the stream with the most
    steps; the others pass as often as that takes, in a new order each time, and their batches are full.

    starts: what is added to the ids of each stream, so that they tell which it is.
    """

    streams: tuple[SeedStream, ...] = ()
    starts: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Ids per epoch."""
        return sum(self._lengths)

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return max(of_task.steps for of_task in self.streams)

    @property
    def _lengths(self) -> list[int]:
        """Ids of each stream per epoch."""
        steps = self.steps
        return [s.size if s.steps == steps else steps * s.batch_size for s in self.streams]

    def epoch_order(self, epoch: int) -> IntArray:
        """The ids of an epoch, stream after stream, each in its order."""
        parts = []
        for of_task, start, length in zip(self.streams, self.starts, self._lengths, strict=True):
            passes = -(-length // of_task.size)
            orders = [of_task.epoch_order(epoch * passes + number) for number in range(passes)]
            parts.append(np.concatenate(orders)[:length] + start)
        return np.concatenate(parts)

    def step_ids(self, order: IntArray, step: int) -> IntArray:
        """The ids of a step, stream after stream."""
        parts, start = [], 0
        for of_task, length in zip(self.streams, self._lengths, strict=True):
            first = start + step * of_task.batch_size
            parts.append(order[first : min(first + of_task.batch_size, start + length)])
            start += length
        return np.concatenate(parts)
