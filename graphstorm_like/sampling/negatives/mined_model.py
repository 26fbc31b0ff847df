"""Negatives that the model in training itself takes for true, by the vectors and the head that it had at the last
refresh (ANCE, Xiong et al., ICLR 2021). The task makes the lists; they are part of resume points.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import MinedModelConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.base import NEGATIVES
from graphstorm_like.sampling.negatives.mined import MinedNegatives
from graphstorm_like.sampling.true_targets import TrueTargets


class MinedLists(nn.Module):
    """Lists [n, K] of each relation, and the optimizer step at which they were made; -1: not yet."""

    def __init__(self, shapes: Mapping[EdgeType, tuple[int, int]]) -> None:
        super().__init__()
        self.edge_types = list(shapes)
        self.register_buffer("made_at", torch.tensor(-1))
        for number, shape in enumerate(shapes.values()):
            self.register_buffer(f"lists{number}", torch.full(shape, -1))

    def of(self, edge_type: EdgeType) -> torch.Tensor:
        """The lists of a relation."""
        return self.get_buffer(f"lists{self.edge_types.index(edge_type)}")


@NEGATIVES.register(MinedModelConfig)
class MinedByModel(MinedNegatives):
    """See module."""

    def __init__(self, config: MinedModelConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        super().__init__(config, graph, true_targets)
        self.refresh_steps = config.refresh_steps
        self.kept = MinedLists({e: (len(sources), config.candidates) for e, sources in self.sources.items()})

    def is_due(self, updates: int) -> bool:
        """Whether the lists are older than an optimizer step may have."""
        return int(self.kept.get_buffer("made_at")) != updates - updates % self.refresh_steps

    def keep(self, lists: Mapping[EdgeType, IntArray], updates: int) -> None:
        """Take new lists."""
        for edge_type, of_relation in lists.items():
            self.kept.of(edge_type).copy_(torch.from_numpy(of_relation))
        self.kept.get_buffer("made_at").fill_(updates - updates % self.refresh_steps)

    def take_up(self) -> None:
        """Draw from the lists that are kept: after a refresh or a resume."""
        self.lists = {e: self.kept.of(e).cpu().numpy() for e in self.sources}
