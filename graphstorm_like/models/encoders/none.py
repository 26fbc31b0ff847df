"""No graph: an MLP over each node's own input. The text-only (features-only) baseline from the same code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns import GnnConfig
from graphstorm_like.config.gnns.none import NoGnnConfig
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.edge_inputs import NO_EDGE_INPUTS, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphEncoder, LayerOutput


@GNNS.register(NoGnnConfig)
class NoGnn(GraphEncoder):
    """`layers` dense layers, no hops."""

    def __init__(
        self,
        config: GnnConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec] = NO_EDGE_INPUTS,
    ) -> None:
        super().__init__(config, node_types, edge_types, edge_inputs)
        self.num_hops = 0
        self.layers = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in range(config.layers))
        self.finishes = nn.ModuleList(LayerOutput(config, last=i == config.layers - 1) for i in range(config.layers))

    def forward(self, blocks: Sequence[Block], hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """[S, D] -> [S, D] per type; there are no blocks."""
        assert not blocks
        joined: dict[NodeType, Tensor] = {}
        for number, (layer, finish) in enumerate(zip(self.layers, self.finishes, strict=True)):
            hidden = {t: finish(layer(h), h) for t, h in hidden.items()}
            if self.jump is not None:
                joined = {t: self.jump(number, h, joined.get(t)) for t, h in hidden.items()}
        return hidden if self.jump is None else joined
