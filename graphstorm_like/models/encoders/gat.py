"""Graph attention (Velickovic et al., ICLR 2018), for heterogeneous graphs; see attention.py.

s_ek = LeakyReLU( s_rk . m_ek + t_rk . (W_c(i) h_i)_k )

for an edge e = (j -> i) of relation r: one number of the message and one of the target, with two vectors a relation and
head. Without edge inputs nothing but their sum is computed once an edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.gat import GatConfig
from graphstorm_like.graph.store import NodeType
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.models.encoders.attention import SLOPE, AttentionLayer, EdgeMessages
from graphstorm_like.models.encoders.base import GNNS, StackedEncoder
from graphstorm_like.models.encoders.rgat import attention_vectors, per_head


class GatLayer(AttentionLayer):
    """One attention."""

    def __init__(
        self,
        config: GatConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__(config, node_types, edge_types, edge_inputs, last)
        width = config.hidden // config.heads
        self.vectors_of_source = attention_vectors(len(edge_types), config.heads, width)
        self.vectors_of_target = attention_vectors(len(edge_types), config.heads, width)

    def target_terms(self, node_type: NodeType, own: Tensor) -> Tensor:
        """W h [n, D]."""
        transformed: Tensor = self.of_sources[self.node_index[node_type]](own)
        return transformed

    def scores(self, messages: EdgeMessages, of_targets: Tensor) -> Tensor:
        """See AttentionLayer."""
        i = self.index[messages.edge_type]
        of_source = F.embedding(messages.of_edge, per_head(messages.values, self.vectors_of_source[i]))
        of_target = F.embedding(messages.rows, per_head(of_targets, self.vectors_of_target[i]))
        return F.leaky_relu(of_source + of_target, SLOPE)


@GNNS.register(GatConfig)
class Gat(StackedEncoder):
    """A stack of attentions."""

    layer_class = GatLayer
