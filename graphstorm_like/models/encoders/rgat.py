"""Relational graph attention (Busbridge et al., 2019: additive attention within each relation, WIRGAT).

h_i' = W_self h_i + b + sum over relations r of  ||_k  sum over edges e = (j -> i) of r of  a_ek m_ek
a_ek = softmax over the edges of r into i of LeakyReLU(s_rk . m_ek + t_rk . W_rk h_i)
m_ek = W_rk h_j + U_rk x_e, for edge inputs x_e, where r has them

for heads k, joined (||). As in GAT (Velickovic et al., ICLR 2018) a score is a sum of one number of the source and one
of the target: without edge inputs nothing but that sum is computed once an edge. W_self and b are one per node type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.rgat import RgatConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums, relation_sources, segment_softmax, weighted_sums, widened
from graphstorm_like.models.dropout import dropout
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder
from graphstorm_like.models.encoders.rgcn import RelationMatrices

SLOPE = 0.2
"""Of the LeakyReLU, as in GAT."""


class RgatLayer(GraphLayer):
    """One relational attention."""

    def __init__(
        self,
        config: RgatConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.matrices = RelationMatrices(len(edge_types), config.hidden, None)
        width = config.hidden // config.heads
        self.of_source = attention_vectors(len(edge_types), config.heads, width)
        self.of_target = attention_vectors(len(edge_types), config.heads, width)
        self.attention_dropout = config.attention_dropout
        self.self_loops = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in node_types)
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        matrices, sums = self.matrices(), TargetSums()
        for edge_type, sources, source_rows in relation_sources(block, hidden):
            i, target, relation = self.index[edge_type], edge_type[2], block.relations[edge_type]
            values = sources @ matrices[i]
            of_edges = self.edges.each(edge_type, relation)
            if of_edges is not None:  # with inputs, edges from one source send different messages
                values = values[source_rows] + of_edges
                source_rows = torch.arange(len(source_rows), device=source_rows.device)
            from_source = per_head(values, self.of_source[i])[source_rows]
            # W and the attention vectors are multiplied first, to one matrix [D, heads]: targets are not transformed.
            from_target = (own[target] @ per_head(matrices[i], self.of_target[i]))[relation.rows]
            scores = widened(from_source) + widened(from_target).repeat_interleave(relation.offsets.diff(), dim=0)
            weights = segment_softmax(F.leaky_relu(scores, SLOPE), relation.offsets)
            weights = dropout(weights, self.attention_dropout, self.training)
            sums.add(target, relation.rows, weighted_sums(widened(values), source_rows, relation.offsets, weights))
        return {t: self.finish(sums.onto(t, self.self_loops[self.node_index[t]](h)), h) for t, h in own.items()}


def attention_vectors(relations: int, heads: int, width: int) -> nn.Parameter:
    """[relations, heads, width]: a vector per relation and head."""
    vectors = torch.empty(relations, heads, width)
    for of_relation in vectors:
        nn.init.xavier_uniform_(of_relation)
    return nn.Parameter(vectors)


def per_head(rows: Tensor, vectors: Tensor) -> Tensor:
    """rows [n, heads * width] . vectors [heads, width], head by head: [n, heads]."""
    return (rows.view(len(rows), *vectors.shape) * vectors).sum(dim=-1)


@GNNS.register(RgatConfig)
class Rgat(StackedEncoder):
    """A stack of relational attentions."""

    layer_class = RgatLayer
