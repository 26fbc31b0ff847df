"""Graph convolution (Kipf and Welling, ICLR 2017), for heterogeneous graphs: one adjacency of all relations.

h_i' = W_c(i) h_i / (d_i + 1) + b_c(i) + sum over edges e = (j -> i) of  m_e / sqrt((d_i + 1)(d_j + 1))
m_e = W_c(j) h_j + U_r x_e

for edge inputs x_e, where relation r has them. c(i) is the type of node i, d_i the number of edges of all types into
it, reverses included: with one type of nodes and edges in both directions this is their D^-1/2 (A + I) D^-1/2 H W.
Sampled edges count for those left out (models/degrees.py), the self loop of their equation is never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.gcn import GcnConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums, relation_sums
from graphstorm_like.models.degrees import symmetric_factors, target_degrees
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder


class GcnLayer(GraphLayer):
    """One convolution."""

    def __init__(
        self,
        config: GcnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.of_types = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in node_types)
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        factors = {edge_type: symmetric_factors(relation) for edge_type, relation in block.relations.items()}
        sums = TargetSums()
        for edge_type, rows, received in relation_sums(block, hidden, factors):
            message = received @ self._of_type(edge_type[0]).weight.t()
            relation = block.relations[edge_type]
            sums.add(edge_type[2], rows, self.edges.add_sums(message, edge_type, relation, factors[edge_type]))
        new = {}
        for node_type, count in block.num_dst.items():
            own, linear = hidden[node_type][:count], self._of_type(node_type)
            shares = (1.0 / (target_degrees(block, node_type) + 1.0)).to(own.dtype)
            start = (own * shares) @ linear.weight.t() + linear.bias
            new[node_type] = self.finish(sums.onto(node_type, start), own)
        return new

    def _of_type(self, node_type: NodeType) -> nn.Linear:
        linear = self.of_types[self.node_index[node_type]]
        assert isinstance(linear, nn.Linear)
        return linear


@GNNS.register(GcnConfig)
class Gcn(StackedEncoder):
    """A stack of convolutions."""

    layer_class = GcnLayer
