"""A mix of several kinds of negatives, by shares that may change from epoch to epoch.

In an epoch the kind i is n_i of `count` negatives: count * w_i / sum of w, cut off, and what is left goes to the
largest remainders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import MixNegativesConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.negatives.base import NEGATIVES, Negatives
from graphstorm_like.sampling.true_targets import TrueTargets


@NEGATIVES.register(MixNegativesConfig)
class MixNegatives(Negatives):
    """See module."""

    def __init__(self, config: MixNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        self.config = config
        self._nodes = {e[2]: graph.manifest.node(e[2]).count for e in true_targets}
        self._members: list[Negatives] = []
        for part in config.parts:
            self._members.append(NEGATIVES.of(part.negatives)(part.negatives, graph, true_targets))
        self._epoch = 0

    def at(self, position: StreamPosition) -> None:
        """See Negatives."""
        self._epoch = position.epoch
        for member in self._members:
            member.at(position)

    def kinds(self) -> Iterator[Negatives]:
        """See Negatives."""
        for member in self._members:
            yield from member.kinds()

    @classmethod
    def notes(cls, config: MixNegativesConfig, graph: Graph) -> Iterator[str]:
        """See Negatives."""
        for part in config.parts:
            yield from NEGATIVES.of(part.negatives).notes(part.negatives, graph)

    def counts(self, epoch: int) -> IntArray:
        """How many of each kind an epoch's steps draw."""
        weights = np.array([part.weight(epoch) for part in self.config.parts])
        wanted = self.config.count * weights / weights.sum()
        counts: IntArray = np.floor(wanted).astype(np.int64)
        largest = np.argsort(counts - wanted, kind="stable")[: self.config.count - int(counts.sum())]
        counts[largest] += 1
        return counts

    def draw(
        self,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """See Negatives."""
        drawn = []
        for member, count in zip(self._members, self.counts(self._epoch).tolist(), strict=True):
            if count:
                drawn.append(member.draw_some(count, node_type, edges, rng))
        return np.concatenate(drawn)

    def check(self, count: int | None = None) -> None:
        """See Negatives: of all epochs, those that come after the shares have stopped to change too."""
        changes = [part.full_epoch or part.from_epoch for part in self.config.parts]
        for epoch in range(max(changes)):
            for member, of_kind in zip(self._members, self.counts(epoch).tolist(), strict=True):
                if of_kind:
                    member.check(of_kind)

    def chances(self, node_type: NodeType, ids: IntArray, count: int) -> npt.NDArray[np.float64]:
        """See Negatives: the mean of the parts', by their numbers."""
        total = np.zeros(len(ids))
        for member, drawn in zip(self._members, self.counts(self._epoch).tolist(), strict=True):
            if drawn:
                of_kind = member.chances(node_type, ids, drawn)
                total += drawn * (1.0 / self._nodes[node_type] if of_kind is None else of_kind)
        return total / self.config.count
