"""GraphSAGE with mean aggregation (Hamilton et al., NeurIPS 2017), for heterogeneous graphs.

h_i' = W_t [ h_i | mean over relations r with an edge into i of  mean over edges e = (j -> i) of r of  m_e ] + b_t
m_e = W_r h_j + U_r x_e, for edge inputs x_e, where r has them

The relations of a node are averaged, not summed as in RGCN, so that a node's scale does not grow with the number of
relations it takes part in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.sage import SageConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums, relation_means
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder
from graphstorm_like.models.encoders.rgcn import RelationMatrices


class SageLayer(GraphLayer):
    """One GraphSAGE layer."""

    def __init__(
        self,
        config: SageConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.matrices = RelationMatrices(len(edge_types), config.hidden, None)
        self.merge = nn.ModuleList(nn.Linear(2 * config.hidden, config.hidden) for _ in node_types)
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.finish = LayerOutput(config.hidden, config.norm, config.dropout, config.residual, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        relations = {t: h.new_zeros(len(h), 1) for t, h in own.items()}
        matrices, sums = self.matrices(), TargetSums()
        for edge_type, rows, mean in relation_means(block, hidden):
            message = mean @ matrices[self.index[edge_type]]
            sums.add(edge_type[2], rows, self.edges.add_means(message, edge_type, block.relations[edge_type]))
            relations[edge_type[2]][rows] += 1
        around = {t: sums.onto(t, torch.zeros_like(h)) / relations[t].clamp(min=1) for t, h in own.items()}
        return {
            t: self.finish(self.merge[self.node_index[t]](torch.cat([h, around[t]], dim=1)), h) for t, h in own.items()
        }


@GNNS.register(SageConfig)
class Sage(StackedEncoder):
    """A stack of GraphSAGE layers."""

    layer_class = SageLayer
