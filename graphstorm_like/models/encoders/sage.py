"""GraphSAGE (Hamilton et al., NeurIPS 2017), for heterogeneous graphs.

h_i' = W_t [ h_i | mean over relations r with an edge into i of  AGG over edges e = (j -> i) of r of  m_e ] + b_t
m_e = W_r h_j + U_r x_e, for edge inputs x_e, where r has them

AGG is the mean, weighed where edges have weights, or the maximum of each coordinate: of m_e (max) or of
relu(m_e + b_r) (pool, their equation 3).

The relations of a node are averaged, not summed as in RGCN, so that a node's scale does not grow with the number of
relations it takes part in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.sage import SageConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums, relation_means, relation_sources, segment_maxima
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
        self.aggregator = config.aggregator
        self.pool_bias = (
            nn.Parameter(torch.zeros(len(edge_types), config.hidden)) if self.aggregator == "pool" else None
        )
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        relations = {t: h.new_zeros(len(h), 1) for t, h in own.items()}
        sums = TargetSums()
        received = self._means(block, hidden) if self.aggregator == "mean" else self._maxima(block, hidden)
        for edge_type, rows, messages in received:
            sums.add(edge_type[2], rows, messages)
            relations[edge_type[2]][rows] += 1
        around = {t: sums.onto(t, torch.zeros_like(h)) / relations[t].clamp(min=1) for t, h in own.items()}
        return {
            t: self.finish(self.merge[self.node_index[t]](torch.cat([h, around[t]], dim=1)), h) for t, h in own.items()
        }

    def _means(self, block: Block, hidden: dict[NodeType, Tensor]) -> Iterator[tuple[EdgeType, Tensor, Tensor]]:
        """(edge type, rows [M], what each row receives [M, D]) of each relation that has edges."""
        matrices = self.matrices()
        for edge_type, rows, mean in relation_means(block, hidden):
            message = mean @ matrices[self.index[edge_type]]
            yield edge_type, rows, self.edges.add_means(message, edge_type, block.relations[edge_type])

    def _maxima(self, block: Block, hidden: dict[NodeType, Tensor]) -> Iterator[tuple[EdgeType, Tensor, Tensor]]:
        """The same."""
        matrices = self.matrices()
        for edge_type, sources, source_rows in relation_sources(block, hidden):
            i, relation, of_edge = self.index[edge_type], block.relations[edge_type], source_rows
            values = sources @ matrices[i]
            of_inputs = self.edges.each(edge_type, relation)
            if of_inputs is not None:  # with inputs, edges from one source send different messages
                values = F.embedding(source_rows, values) + of_inputs
                of_edge = torch.arange(len(source_rows), device=source_rows.device)
            if self.pool_bias is not None:
                values = F.relu(values + self.pool_bias[i])
            yield edge_type, relation.rows, segment_maxima(values, of_edge, relation.offsets)


@GNNS.register(SageConfig)
class Sage(StackedEncoder):
    """A stack of GraphSAGE layers."""

    layer_class = SageLayer
