"""The base class of samplers of negatives. The edges of a step share their negatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.registry import Registry
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.true_targets import TrueTargets

NEGATIVES: Registry[type[Negatives]] = Registry("negatives", "graphstorm_like.sampling.negatives")


class Negatives:
    """Made once per training, with the configuration, the graph and the training edges of the task's relations.

    Every rank draws for the whole step, and all must draw the same: draws may depend on the arguments only.
    """

    def __init__(self, config: Any, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        """true_targets: training edges by relation, without the held-out ones."""

    def draw(
        self,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """Node ids [K] of a type, for a step with these edges (sources, targets) into it. Ids may repeat.

        True targets need not be left out: each relation masks its own.
        """
        raise NotImplementedError

    def draw_some(
        self,
        count: int,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """`count` of what `draw` gives, for a mix; none where it gives none. Drawn anew where it gives fewer."""
        # Ascending: they may come in the order of the step's edges, which is another one on several ranks.
        drawn = np.sort(self.draw(node_type, edges, rng))
        return rng.choice(drawn, size=count, replace=len(drawn) < count) if len(drawn) else drawn

    def at(self, position: StreamPosition) -> None:
        """A step begins. Default: draws are the same in every epoch."""

    def kinds(self) -> Iterator[Negatives]:
        """This one, or those that it mixes."""
        yield self

    @classmethod
    def notes(cls, config: Any, graph: Graph) -> Iterator[str]:
        """What the user should know before training starts. Default: nothing."""
        return iter(())

    def check(self, count: int | None = None) -> None:
        """DataError when too few are drawn at once. count: how many of a mix; None: as many as it is configured to
        draw. Default: any number will do."""

    def chances(self, node_type: NodeType, ids: IntArray, count: int) -> npt.NDArray[np.float64] | None:
        """[n] probability that one of `count` draws gives each of some nodes; None: all nodes of the type are equally
        likely.

        Used for `popularity_correction`, for drawn nodes and for the edges' targets.
        """
        return None


class DrawnNegatives(Negatives):
    """Nodes drawn without a look at the step's edges. `count`: how many, where a mix does not say."""

    count: int

    def nodes(self, count: int, node_type: NodeType, rng: np.random.Generator) -> IntArray:
        """Node ids [count] of a type."""
        raise NotImplementedError

    def draw(
        self,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """See Negatives."""
        return self.nodes(self.count, node_type, rng)

    def draw_some(
        self,
        count: int,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """See Negatives."""
        return self.nodes(count, node_type, rng)
