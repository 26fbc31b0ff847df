"""Heterogeneous graph transformer (Hu et al., WWW 2020).

h_i' = A_c(i) gelu( ||_k  sum over edges e = (j -> i), of all relations, of  a_ek m_ek )
a_ek = softmax over all edges into i, of  mu_rk (q_ik . k_ek) / sqrt(D / heads)
q_i = Q_c(i) h_i,   k_e = W_r (K_c(j) h_j) + U_r x_e,   m_e = V_r (M_c(j) h_j) + U'_r x_e

for heads k, joined (||), c(i) the type of node i and r the relation of e; x_e are edge inputs, where r has them. Q, K,
M and A, with a bias each, are one per node type; W and V, a matrix per head, and the prior mu, a number per head that
starts at 1, are one per relation. The residual, norm and dropout that follow are those of the other networks; the
relative time encoding of the paper is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.hgt import HgtConfig
from graphstorm_like.graph.store import Block, NodeType, Relation
from graphstorm_like.models.aggregate import TargetSums, relation_sources, weighted_sums, widened
from graphstorm_like.models.dropout import dropout
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder


@dataclass(frozen=True, slots=True)
class RelationMessages:
    """Of one relation's E edges: scores [E, heads], messages [S, D], the row of its message for each edge [E], and the
    row of its target [E]."""

    relation: Relation
    scores: Tensor
    messages: Tensor
    message_rows: Tensor
    rows: Tensor


class HgtLayer(GraphLayer):
    """One heterogeneous attention."""

    def __init__(
        self,
        config: HgtConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        hidden, self.heads, width = config.hidden, config.heads, config.hidden // config.heads
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.queries = nn.ModuleList(nn.Linear(hidden, hidden) for _ in node_types)
        self.keys_and_messages = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in node_types)
        self.outputs = nn.ModuleList(nn.Linear(hidden, hidden) for _ in node_types)
        self.of_keys = head_matrices(len(edge_types), config.heads, width)
        self.of_messages = head_matrices(len(edge_types), config.heads, width)
        self.priors = nn.Parameter(torch.ones(len(edge_types), config.heads))
        self.attention_dropout = config.attention_dropout
        self.edges = EdgeInputs(edge_inputs, 2 * hidden)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        into: dict[NodeType, list[RelationMessages]] = {t: [] for t in own}
        target_types = dict.fromkeys(e[2] for e in block.relations)
        queries = {t: self.queries[self.node_index[t]](own[t]) for t in target_types}
        source_types = dict.fromkeys(e[0] for e in block.relations)
        of_types = {t: self.keys_and_messages[self.node_index[t]](hidden[t]) for t in source_types}
        for edge_type, sources, source_rows in relation_sources(block, of_types):
            relation = block.relations[edge_type]
            messages = self._relation(edge_type, relation, sources, source_rows, queries[edge_type[2]])
            into[edge_type[2]].append(messages)
        return {t: self._node_type(t, relations, own[t]) for t, relations in into.items()}

    def _relation(
        self, edge_type: EdgeType, relation: Relation, sources: Tensor, source_rows: Tensor, queries: Tensor
    ) -> RelationMessages:
        """sources [S, 2 D]: keys and messages of the distinct sources; source_rows [E]: which of these is the source of
        each edge; queries [n, D] of the target type's nodes."""
        i = self.index[edge_type]
        keys, messages = (
            torch.einsum("nhd,hde->nhe", part.reshape(len(part), self.heads, -1), matrices[i]).flatten(1)
            for part, matrices in zip(sources.chunk(2, dim=1), (self.of_keys, self.of_messages), strict=True)
        )
        rows = relation.rows.repeat_interleave(relation.offsets.diff())
        keys, message_rows = F.embedding(source_rows, keys), source_rows
        of_edges = self.edges.each(edge_type, relation)
        if of_edges is not None:  # with inputs, edges from one source send different messages
            key_inputs, message_inputs = of_edges.chunk(2, dim=1)
            keys, messages = keys + key_inputs, F.embedding(source_rows, messages) + message_inputs
            message_rows = torch.arange(len(source_rows), device=source_rows.device)
        products = (F.embedding(rows, queries) * keys).view(len(rows), self.heads, -1).sum(dim=-1)
        scores = widened(products) * (self.priors[i] / (keys.shape[1] // self.heads) ** 0.5)
        return RelationMessages(relation, scores, messages, message_rows, rows)

    def _node_type(self, node_type: NodeType, relations: Sequence[RelationMessages], own: Tensor) -> Tensor:
        """[n, D] of the target nodes of a type. Its attention is shared by all relations into it."""
        sums, start = TargetSums(), torch.zeros_like(widened(own))
        if relations:
            scores = torch.cat([r.scores for r in relations])
            rows = torch.cat([r.rows for r in relations])
            weights = row_softmax(scores, rows, own)
            weights = dropout(weights, self.attention_dropout, self.training)
            for r, part in zip(relations, torch.split(weights, [len(r.rows) for r in relations]), strict=True):
                received = weighted_sums(widened(r.messages), r.message_rows, r.relation.offsets, part)
                sums.add(node_type, r.relation.rows, received)
        received = F.gelu(sums.onto(node_type, start))
        new: Tensor = self.finish(self.outputs[self.node_index[node_type]](received), own)
        return new


def head_matrices(relations: int, heads: int, width: int) -> nn.Parameter:
    """[relations, heads, width, width]: a matrix per relation and head."""
    matrices = torch.empty(relations, heads, width, width)
    for matrix in matrices.view(-1, width, width):
        nn.init.xavier_uniform_(matrix)
    return nn.Parameter(matrices)


def row_softmax(scores: Tensor, rows: Tensor, targets: Tensor) -> Tensor:
    """Softmax of scores [E, heads] among the edges of the same row of targets [n, ...], in any order of the edges."""
    shape = (len(targets), scores.shape[1])
    index = rows[:, None].expand_as(scores)
    top = scores.new_full(shape, float("-inf")).scatter_reduce(0, index, scores.detach(), "amax")
    weights = (scores - top[rows]).exp()
    totals = scores.new_zeros(shape).index_add(0, rows, weights)
    return weights / totals[rows]


@GNNS.register(HgtConfig)
class Hgt(StackedEncoder):
    """A stack of heterogeneous attentions."""

    layer_class = HgtLayer
