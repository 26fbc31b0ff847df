"""The model: inputs -> graph encoder. What the seeds' vectors are used for is up to the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.graph.store import NodeType
from graphstorm_like.models.edge_inputs import NO_EDGE_INPUTS, EdgeInputSpec
from graphstorm_like.models.encoders import GNNS, GraphEncoder
from graphstorm_like.models.inputs import InputEncoder, NodeInputSpec
from graphstorm_like.sampling.batch import MiniBatch


class LmGnn(nn.Module):
    """MiniBatch -> hidden vectors [S, D] of the seeds, per node type."""

    reads_only_text = False
    """Whether features of nodes are no inputs, where they have some."""

    def __init__(
        self,
        config: ModelConfig,
        inputs: Mapping[NodeType, NodeInputSpec],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec] = NO_EDGE_INPUTS,
    ) -> None:
        super().__init__()
        self.hidden = config.gnn.hidden
        self.edge_widths = {t: sum(spec.widths.values()) for t, spec in edge_inputs.items()}
        self.inputs = InputEncoder(inputs, self.hidden, config.input_dropout)
        self.gnn: GraphEncoder = GNNS.of(config.gnn)(config.gnn, list(inputs), list(edge_types), edge_inputs)

    def forward(self, batch: MiniBatch) -> dict[NodeType, Tensor]:
        """See class. On a CPU only the inputs' products run under autocast: oneDNN, which computes them in bfloat16,
        makes code for each new number of rows, and keeps a thousand of them. Messages have another number of rows in
        each batch: with RGCN of width 128 on 20 edge types that took a quarter of a step's time, and .7 GB."""
        hidden: dict[NodeType, Tensor] = self.inputs(batch.input_ids, batch.features)
        on_cpu = all(rows.device.type == "cpu" for rows in hidden.values())
        if not (on_cpu and torch.is_autocast_enabled("cpu")):
            return self._encoded(batch, hidden)
        with torch.autocast("cpu", enabled=False):
            return self._encoded(batch, {node_type: rows.float() for node_type, rows in hidden.items()})

    def _encoded(self, batch: MiniBatch, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        encoded: dict[NodeType, Tensor] = self.gnn(batch.blocks, hidden)
        return encoded
