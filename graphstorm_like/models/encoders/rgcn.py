"""Relational graph convolution (Schlichtkrull et al., ESWC 2018).

h_i' = W_self h_i + b + sum over relations r of mean over edges e = (j -> i) of r of  W_r h_j + U_r x_e

for edge inputs x_e, where r has them, and with W_r = sum_b a_rb V_b when `bases` is set (their equation 3). W_self and
b are one per node type. With `blocks` W_r is block-diagonal (their equation 4). The mean is weighed where edges have
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.rgcn import RgcnConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums, relation_means
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder


class RelationMatrices(nn.Module):
    """One [D, D] matrix per relation, or a combination of a few shared bases."""

    def __init__(self, relations: int, hidden: int, bases: int | None) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.empty(bases or relations, hidden, hidden))
        for matrix in self.basis.data:
            nn.init.xavier_uniform_(matrix)
        self.mix = nn.Parameter(torch.empty(relations, bases)) if bases else None
        if self.mix is not None:
            nn.init.xavier_uniform_(self.mix)

    def forward(self) -> tuple[Tensor, ...]:
        """A matrix per relation; unbound once, so that the gradient is assembled once."""
        matrices = self.basis if self.mix is None else torch.einsum("rb,bio->rio", self.mix, self.basis)
        return matrices.unbind(0)


class BlockMatrices(nn.Module):
    """A block-diagonal [D, D] matrix per relation."""

    def __init__(self, relations: int, hidden: int, blocks: int) -> None:
        super().__init__()
        width = hidden // blocks
        self.blocks = nn.Parameter(torch.empty(relations, blocks, width, width))
        for matrix in self.blocks.data.view(-1, width, width):
            nn.init.xavier_uniform_(matrix)

    def forward(self) -> tuple[Tensor, ...]:
        """The blocks [blocks, width, width] of each relation."""
        return self.blocks.unbind(0)


def times(rows: Tensor, matrix: Tensor) -> Tensor:
    """rows [M, D] times a matrix [D, D], or one of blocks [blocks, width, width]: [M, D]."""
    if matrix.ndim == 2:
        return rows @ matrix
    return torch.einsum("mbi,bio->mbo", rows.view(len(rows), *matrix.shape[:2]), matrix).flatten(1)


class RgcnLayer(GraphLayer):
    """One relational convolution."""

    def __init__(
        self,
        config: RgcnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.matrices: RelationMatrices | BlockMatrices
        if config.blocks is None:
            self.matrices = RelationMatrices(len(edge_types), config.hidden, config.bases)
        else:
            self.matrices = BlockMatrices(len(edge_types), config.hidden, config.blocks)
        self.self_loops = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in node_types)
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        matrices, sums = self.matrices(), TargetSums()
        for edge_type, rows, mean in relation_means(block, hidden):
            message = times(mean, matrices[self.index[edge_type]])
            sums.add(edge_type[2], rows, self.edges.add_means(message, edge_type, block.relations[edge_type]))
        return {t: self.finish(sums.onto(t, self.self_loops[self.node_index[t]](h)), h) for t, h in own.items()}


@GNNS.register(RgcnConfig)
class Rgcn(StackedEncoder):
    """A stack of relational convolutions."""

    layer_class = RgcnLayer
