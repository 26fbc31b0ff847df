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
from graphstorm_like.models.jumping import JumpingKnowledge
from graphstorm_like.registry import Registry

GNNS: Registry[type[GraphEncoder]] = Registry("graph network", "graphstorm_like.models.encoders")


class GraphLayer(nn.Module):
    """One layer: hidden of the source nodes [num_src, D] per type -> hidden of the target nodes [num_dst, D]."""

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See class."""
        raise NotImplementedError


class GraphEncoder(nn.Module):
    """Layers in order from the input to the seeds; `num_hops` of them read a block.

    edge_inputs: of the edge types whose relations bring inputs. jump: what joins the layers' vectors; None: the last
    layer's leave the network.
    """

    layers: nn.ModuleList
    num_hops: int
    jump: JumpingKnowledge | None

    def __init__(
        self,
        config: GnnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec] = NO_EDGE_INPUTS,
    ) -> None:
        super().__init__()
        kind = config.jumping
        self.jump = None if kind == "last" else JumpingKnowledge(kind, config.hidden, config.layers)

    def forward(self, blocks: Sequence[Block], hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """Hidden vectors [N, D] of the input nodes -> [S, D] of the seeds, per type."""
        joined: dict[NodeType, Tensor] = {}
        for number, (layer, block) in enumerate(zip(self.layers, blocks, strict=True)):
            hidden = layer(block, hidden)
            if self.jump is not None:  # the seeds are the first of every layer's targets
                for node_type, count in blocks[-1].num_dst.items():
                    of_layer = hidden[node_type][:count]
                    joined[node_type] = self.jump(number, of_layer, joined.get(node_type))
        return hidden if self.jump is None else joined


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


class UnitLength(nn.Module):
    """Rows [n, D] of length 1, as after each layer of GraphSAGE (Hamilton et al. 2017, algorithm 1)."""

    def forward(self, rows: Tensor) -> Tensor:
        """See class."""
        return F.normalize(rows, dim=1)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "l2": lambda _hidden: UnitLength(),
    "none": lambda _hidden: nn.Identity(),
}
"""All of one node's numbers alone."""


class LayerOutput(nn.Module):
    """What follows a layer's sum: the dense layers of NGNN, residual, norm, ReLU, dropout; the last layer has neither
    ReLU nor dropout. NGNN (Song et al. 2021): x -> W relu(x) + b, as often as `feed_forward` says."""

    def __init__(self, config: GnnConfig, last: bool) -> None:
        super().__init__()
        hidden = config.hidden
        self.feed_forward = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(config.feed_forward))
        self.norm = NORMS[config.norm](hidden)
        self.dropout, self.residual, self.last = config.dropout, config.residual, last

    def forward(self, new: Tensor, old: Tensor) -> Tensor:
        """new, old: [n, D] -> [n, D]."""
        for dense in self.feed_forward:
            new = dense(F.relu(new))
        new = self.norm(new + old if self.residual else new)
        return new if self.last else dropout(F.relu(new), self.dropout, self.training)
