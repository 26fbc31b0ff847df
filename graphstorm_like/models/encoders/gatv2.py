"""GATv2 (Brody, Alon, Yahav, ICLR 2022), for heterogeneous graphs; see attention.py.

s_ek = a_rk . LeakyReLU( m_ek + (Q_c(i) h_i)_k )

for an edge e = (j -> i) of relation r. In GAT all nodes rank their neighbours alike; here the non-linearity stands
between message, target and the vector a, so that which neighbour scores highest depends on the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.gatv2 import GatV2Config
from graphstorm_like.graph.store import NodeType
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.models.encoders.attention import SLOPE, AttentionLayer, EdgeMessages
from graphstorm_like.models.encoders.base import GNNS, StackedEncoder
from graphstorm_like.models.encoders.rgat import attention_vectors, per_head


class GatV2Layer(AttentionLayer):
    """One attention."""

    def __init__(
        self,
        config: GatV2Config,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__(config, node_types, edge_types, edge_inputs, last)
        self.queries = nn.ModuleList(nn.Linear(config.hidden, config.hidden, bias=False) for _ in node_types)
        self.vectors = attention_vectors(len(edge_types), config.heads, config.hidden // config.heads)

    def target_terms(self, node_type: NodeType, own: Tensor) -> Tensor:
        """Q h [n, D]."""
        transformed: Tensor = self.queries[self.node_index[node_type]](own)
        return transformed

    def scores(self, messages: EdgeMessages, of_targets: Tensor) -> Tensor:
        """See AttentionLayer."""
        both = F.embedding(messages.of_edge, messages.values) + F.embedding(messages.rows, of_targets)
        return per_head(F.leaky_relu(both, SLOPE), self.vectors[self.index[messages.edge_type]])


@GNNS.register(GatV2Config)
class GatV2(StackedEncoder):
    """A stack of attentions."""

    layer_class = GatV2Layer
