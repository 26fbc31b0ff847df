"""Graph isomorphism network (Xu et al., ICLR 2019), for heterogeneous graphs.

h_i' = MLP_c(i)( (1 + eps_c(i)) h_i + sum over edges e = (j -> i), of all relations r, of  W_r m_e )
m_e = h_j, or relu(h_j + U_r x_e) for edge inputs x_e, where r has them (GINE: Hu et al., ICLR 2020)

c(i) is the type of node i; eps starts at 0. The matrices W_r, one per relation, are not in the paper, which knows one
relation: they start as the identity. Sampled edges count for those left out (models/degrees.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.gin import GinConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums, relation_sums, segment_sums
from graphstorm_like.models.degrees import edges_per_sampled
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder


class GinLayer(GraphLayer):
    """Sums of neighbours, and an MLP."""

    def __init__(
        self,
        config: GinConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        width = config.hidden
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.matrices = nn.ParameterList(torch.eye(width) for _ in edge_types)
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in node_types
        )
        self.eps = nn.Parameter(torch.zeros(len(node_types)), requires_grad=config.learn_eps)
        self.edges = EdgeInputs(edge_inputs, width)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        sums = TargetSums()
        factors = {edge_type: edges_per_sampled(relation) for edge_type, relation in block.relations.items()}
        for edge_type, rows, received in relation_sums(block, hidden, factors):
            relation = block.relations[edge_type]
            of_edges = self.edges.each(edge_type, relation)
            if of_edges is not None:
                messages = F.relu(F.embedding(relation.sources, hidden[edge_type[0]]) + of_edges)
                received = segment_sums(messages, relation.offsets, factors[edge_type])
            sums.add(edge_type[2], rows, received @ self.matrices[self.index[edge_type]])
        new = {}
        for node_type, count in block.num_dst.items():
            own, i = hidden[node_type][:count], self.node_index[node_type]
            total = sums.onto(node_type, (1.0 + self.eps[i]) * own)
            new[node_type] = self.finish(self.mlps[i](total), own)
        return new


@GNNS.register(GinConfig)
class Gin(StackedEncoder):
    """A stack of sums and MLPs."""

    layer_class = GinLayer
