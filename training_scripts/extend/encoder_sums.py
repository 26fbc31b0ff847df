"""A graph network of your own: sums over all relations' neighbours and an MLP a node type, as in GIN (Xu et al. 2019).

h_i' = MLP((1 + eps) h_i + sum over relations r, over edges (j -> i) of r, of h_j)

    plugins: [./encoder_sums.py]
    model: { gnn: { type: sums, hidden: 64 } }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns import GnnConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.encoders.base import GraphLayer, LayerOutput, StackedEncoder


class SumsConfig(GnnConfig):
    """Sums over all relations alike."""

    type: Literal["sums"]
    learn_eps: bool = True
    """Learn the weight of a node's own vector."""


class SumsLayer(GraphLayer):
    """Hidden of the source nodes [num_src, D] per type -> hidden of the target nodes [num_dst, D]."""

    def __init__(
        self,
        config: SumsConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        width = config.hidden
        self.index = {node_type: i for i, node_type in enumerate(node_types)}
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in node_types
        )
        self.eps = nn.Parameter(torch.zeros(len(node_types)), requires_grad=config.learn_eps)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See class."""
        own = {node_type: hidden[node_type][:count] for node_type, count in block.num_dst.items()}
        sums = {t: (1.0 + self.eps[self.index[t]]) * h for t, h in own.items()}
        for (source_type, _, target_type), relation in block.relations.items():
            ends = torch.repeat_interleave(relation.rows, relation.offsets.diff())
            messages = hidden[source_type][relation.sources]
            sums[target_type] = sums[target_type].index_add(0, ends, messages)
        return {t: self.finish(self.mlps[self.index[t]](total), own[t]) for t, total in sums.items()}


@GNNS.register(SumsConfig)
class Sums(StackedEncoder):
    """A stack of these layers. Texts and features of edges are not read."""

    layer_class = SumsLayer
