"""What GAT and GATv2 share: one attention over all edges into a node, whatever their relations.

h_i' = W_self h_i + b + ||_k  sum over edges e = (j -> i), of all relations, of  a_ek m_ek
m_e = W_c(j) h_j + U_r x_e, for edge inputs x_e, where relation r has them
a_ek = softmax over all edges into i of the scores s_ek, which are the network's own

for heads k, joined (||); c(j) is the type of node j; W, W_self and b are one per node type. The self loop stands beside
the attention, as the residual does in the papers' code, and not within it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.heads import AttentionGnnConfig
from graphstorm_like.graph.store import Block, NodeType, Relation
from graphstorm_like.models.aggregate import TargetSums, relation_sources, weighted_sums, widened
from graphstorm_like.models.dropout import dropout
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GraphLayer, LayerOutput
from graphstorm_like.models.encoders.hgt import row_softmax

SLOPE = 0.2
"""Of the LeakyReLU, as in both papers."""


@dataclass(frozen=True, slots=True)
class EdgeMessages:
    """Of one relation's E edges. values [V, D]: messages; of_edge [E]: rows of their messages; rows [E]: of targets."""

    edge_type: EdgeType
    relation: Relation
    values: Tensor
    of_edge: Tensor
    rows: Tensor


class AttentionLayer(GraphLayer):
    """One attention over all edges into a node; a network defines the scores."""

    def __init__(
        self,
        config: AttentionGnnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.of_sources = nn.ModuleList(nn.Linear(config.hidden, config.hidden, bias=False) for _ in node_types)
        self.self_loops = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in node_types)
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.finish = LayerOutput(config, last)

    def target_terms(self, node_type: NodeType, own: Tensor) -> Tensor:
        """own [n, D] of the target nodes of a type -> what scores read of them [n, ...]."""
        raise NotImplementedError

    def scores(self, messages: EdgeMessages, of_targets: Tensor) -> Tensor:
        """[E, heads] of a relation's edges. of_targets: target_terms of its target type."""
        raise NotImplementedError

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        of_types = {t: self.of_sources[self.node_index[t]](hidden[t]) for t in {e[0]: None for e in block.relations}}
        into: dict[NodeType, list[EdgeMessages]] = {t: [] for t in own}
        for edge_type, sources, source_rows in relation_sources(block, of_types):
            relation, values, of_edge = block.relations[edge_type], sources, source_rows
            of_inputs = self.edges.each(edge_type, relation)
            if of_inputs is not None:  # with inputs, edges from one source send different messages
                values = torch.nn.functional.embedding(source_rows, sources) + of_inputs
                of_edge = torch.arange(len(source_rows), device=source_rows.device)
            rows = relation.rows.repeat_interleave(relation.offsets.diff())
            into[edge_type[2]].append(EdgeMessages(edge_type, relation, values, of_edge, rows))
        return {t: self._node_type(t, messages, own[t]) for t, messages in into.items()}

    def _node_type(self, node_type: NodeType, messages: Sequence[EdgeMessages], own: Tensor) -> Tensor:
        """[n, D] of the target nodes of a type."""
        sums = TargetSums()
        if messages:
            of_targets = self.target_terms(node_type, own)
            scores = widened(torch.cat([self.scores(each, of_targets) for each in messages]))
            weights = row_softmax(scores, torch.cat([each.rows for each in messages]), own)
            weights = dropout(weights, self.attention_dropout, self.training)
            for each, part in zip(messages, torch.split(weights, [len(m.rows) for m in messages]), strict=True):
                received = weighted_sums(widened(each.values), each.of_edge, each.relation.offsets, part)
                sums.add(node_type, each.relation.rows, received)
        new: Tensor = self.finish(sums.onto(node_type, self.self_loops[self.node_index[node_type]](own)), own)
        return new
