"""Graph transformer (Dwivedi and Bresson 2021, arXiv:2012.09699), for heterogeneous graphs.

A node's sequence is the node itself (its hop 0) and the sources of all sampled edges into it (hop 1), of any relation:

z_i = norm( h_i + O ||_k  sum over e in {i} u {(j -> i)} of  a_ek v_ek ),      h_i' = W_2 gelu(W_1 z_i + b_1) + b_2
a_ek = softmax over this sequence of  q_ik . k_ek / sqrt(D / heads)
q_i = Q (h_i + t_c(i)),   k_e = K (h_j + t_c(j)) + p_r + U_r x_e,   v_e = V (h_j + t_c(j)) + s_r + U'_r x_e

for heads k, joined (||); Q, K, V and O are shared by all types, which the encodings t of types and p, s of relations,
with a relation of their own for the node itself, tell apart. The residual and norm that follow are those of the other
networks. Nodes further away come in by further layers, not as tokens: so vectors are inferred layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.transformer import TransformerConfig
from graphstorm_like.graph.store import Block, NodeType, Relation
from graphstorm_like.models.aggregate import TargetSums, relation_sources, weighted_sums, widened
from graphstorm_like.models.dropout import dropout
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, NORMS, GraphLayer, LayerOutput, StackedEncoder
from graphstorm_like.models.encoders.hgt import RelationMessages, row_softmax


class TransformerLayer(GraphLayer):
    """One attention over a node and its neighbours, and a dense layer."""

    def __init__(
        self,
        config: TransformerConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        hidden, self.heads = config.hidden, config.heads
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.of_types = nn.Parameter(0.02 * torch.randn(len(node_types), hidden))
        self.of_relations = nn.Parameter(0.02 * torch.randn(len(edge_types) + 1, 2 * hidden))
        """The last one is of the nodes themselves."""
        self.queries = nn.Linear(hidden, hidden)
        self.keys_and_values = nn.Linear(hidden, 2 * hidden)
        self.output = nn.Linear(hidden, hidden)
        self.norm = NORMS[config.norm](hidden)
        self.dense = nn.Sequential(
            nn.Linear(hidden, config.expansion * hidden), nn.GELU(), nn.Linear(config.expansion * hidden, hidden)
        )
        self.dropout, self.attention_dropout = config.dropout, config.attention_dropout
        self.edges = EdgeInputs(edge_inputs, 2 * hidden)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        typed = {t: h + self.of_types[self.node_index[t]] for t, h in hidden.items()}
        needed = dict.fromkeys([*block.num_dst, *(e[0] for e in block.relations)])
        both = {t: self.keys_and_values(typed[t]) for t in needed}
        queries = {t: self.queries(typed[t][:n]) for t, n in block.num_dst.items()}
        into = {t: [self._itself(both[t][: len(q)], q)] for t, q in queries.items()}
        for edge_type, sources, source_rows in relation_sources(block, both):
            target, encoding = edge_type[2], self.of_relations[self.index[edge_type]]
            relation = block.relations[edge_type]
            inputs = self.edges.each(edge_type, relation)
            into[target].append(self._messages(relation, sources + encoding, source_rows, inputs, queries[target]))
        return {t: self._node_type(tokens, hidden[t][: block.num_dst[t]]) for t, tokens in into.items()}

    def _itself(self, both: Tensor, queries: Tensor) -> RelationMessages:
        """Each node as the first token of its sequence."""
        every = torch.arange(len(queries) + 1, device=queries.device)
        relation = Relation(every[:-1], every, every[:-1], every[:-1])
        return self._messages(relation, both + self.of_relations[-1], every[:-1], None, queries)

    def _messages(
        self, relation: Relation, sources: Tensor, source_rows: Tensor, inputs: Tensor | None, queries: Tensor
    ) -> RelationMessages:
        """sources [S, 2 D]: keys and values of the distinct sources; source_rows [E]: which is each edge's; inputs
        [E, 2 D]; queries [n, D] of the target type's nodes."""
        rows, message_rows = relation.rows.repeat_interleave(relation.offsets.diff()), source_rows
        if inputs is not None:  # with inputs, edges from one source send different messages
            sources = F.embedding(source_rows, sources) + inputs
            message_rows = torch.arange(len(source_rows), device=source_rows.device)
        keys, values = sources.chunk(2, dim=1)
        products = (F.embedding(rows, queries) * F.embedding(message_rows, keys)).view(len(rows), self.heads, -1)
        scores = widened(products.sum(dim=-1)) / (keys.shape[1] // self.heads) ** 0.5
        return RelationMessages(relation, scores, values, message_rows, rows)

    def _node_type(self, tokens: Sequence[RelationMessages], own: Tensor) -> Tensor:
        """[n, D] of the target nodes of a type, whose own token is the first."""
        weights = row_softmax(torch.cat([t.scores for t in tokens]), torch.cat([t.rows for t in tokens]), own)
        weights, sums = dropout(weights, self.attention_dropout, self.training), TargetSums()
        for each, part in zip(tokens, torch.split(weights, [len(t.rows) for t in tokens]), strict=True):
            received = weighted_sums(widened(each.messages), each.message_rows, each.relation.offsets, part)
            sums.add("", each.relation.rows, received)
        attended = self.output(sums.onto("", torch.zeros_like(widened(own))).to(own.dtype))
        joined = self.norm(own + dropout(attended, self.dropout, self.training))
        new: Tensor = self.finish(self.dense(joined), joined)
        return new


@GNNS.register(TransformerConfig)
class Transformer(StackedEncoder):
    """A stack of such layers."""

    layer_class = TransformerLayer
