"""What every GNN is: a list of layers, each from one block's source nodes to its target nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns import GnnConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.dropout import dropout
from graphstorm_like.models.edge_inputs import NO_EDGE_INPUTS, EdgeInputSpec
from graphstorm_like.registry import Registry

GNNS: Registry[type[GraphEncoder]] = Registry("graph network", "graphstorm_like.models.encoders")


class GraphLayer(nn.Module):
    """One layer: hidden of the source nodes [num_src, D] per type -> hidden of the target nodes [num_dst, D]."""

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See class."""
        raise NotImplementedError


class GraphEncoder(nn.Module):
    """Layers in order from the input to the seeds; `num_hops` of them read a block.

    edge_inputs: of the edge types whose relations bring inputs.
    """

    layers: nn.ModuleList
    num_hops: int

    def __init__(
        self,
        config: GnnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec] = NO_EDGE_INPUTS,
    ) -> None:
        super().__init__()

    def forward(self, blocks: Sequence[Block], hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """Hidden vectors [N, D] of the input nodes -> [S, D] of the seeds, per type."""
        for layer, block in zip(self.layers, blocks, strict=True):
            hidden = layer(block, hidden)
        return hidden


class StackedEncoder(GraphEncoder):
    """`config.layers` layers of one class, which takes the arguments of an encoder, and whether it is the last one."""

    layer_class: Callable[..., GraphLayer]

    def __init__(
        self,
        config: GnnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec] = NO_EDGE_INPUTS,
    ) -> None:
        super().__init__(config, node_types, edge_types, edge_inputs)
        self.num_hops, build, last = config.layers, type(self).layer_class, config.layers - 1
        self.layers = nn.ModuleList(
            build(config, node_types, edge_types, edge_inputs, last=number == last) for number in range(config.layers)
        )


class LayerOutput(nn.Module):
    """What follows a layer's sum: residual, norm, ReLU, dropout; the last layer has neither ReLU nor dropout."""

    def __init__(self, hidden: int, norm: str, dropout: float, residual: bool, last: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden) if norm == "layer" else nn.Identity()
        self.dropout, self.residual, self.last = dropout, residual, last

    def forward(self, new: Tensor, old: Tensor) -> Tensor:
        """new, old: [n, D] -> [n, D]."""
        new = self.norm(new + old if self.residual else new)
        return new if self.last else dropout(F.relu(new), self.dropout, self.training)
