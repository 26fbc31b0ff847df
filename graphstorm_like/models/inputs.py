"""Everything known of a node -> one vector: text vectors, features, a learnable embedding, fused by a sum of
projections (the same as a projection of their concatenation), then norm, ReLU, dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.graph.store import NodeType


@dataclass(frozen=True, slots=True)
class NodeInputSpec:
    """What one node type brings: widths of its inputs by name, and whether it has learnable embeddings."""

    count: int
    widths: Mapping[str, int]
    embedding: bool
    scales: Mapping[str, float] = field(default_factory=dict)
    """Inputs that are multiplied by a number: text vectors of unit length have entries far smaller than features."""


class NodeInput(nn.Module):
    """Inputs [N, F] by name, and node ids [N] -> [N, hidden]."""

    def __init__(self, spec: NodeInputSpec, hidden: int, dropout: float) -> None:
        super().__init__()
        self.names = sorted(spec.widths)
        self.register_buffer("scales", torch.tensor([spec.scales.get(n, 1.0) for n in self.names]))
        self.projections = nn.ModuleList(nn.Linear(spec.widths[n], hidden, bias=False) for n in self.names)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.embedding = nn.Embedding(spec.count, hidden, sparse=True) if spec.embedding else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=hidden**-0.5)
        if not self.names and self.embedding is None:
            nn.init.normal_(
                self.bias, std=hidden**-0.5
            )  # all nodes of the type start alike; the graph tells them apart
        self.norm = nn.LayerNorm(hidden)
        self.dropout = dropout

    def forward(self, ids: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """See class."""
        total = self.bias.expand(len(ids), -1)
        for name, projection, scale in zip(self.names, self.projections, self.get_buffer("scales"), strict=True):
            # Scaling the small weight instead of the inputs: same numbers, no copy of [N, F]. Under autocast the
            # half-precision rows go to its type at once, not by way of float32.
            rows = features[name]
            rows = rows if torch.is_autocast_enabled(rows.device.type) else rows.to(self.bias.dtype)
            total = total + F.linear(rows, projection.weight * scale)
        if self.embedding is not None:
            total = total + self.embedding(ids)
        return F.dropout(F.relu(self.norm(total)), self.dropout, self.training)


class InputEncoder(nn.Module):
    """A NodeInput a node type."""

    def __init__(self, specs: Mapping[NodeType, NodeInputSpec], hidden: int, dropout: float) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(specs)}
        self.types = nn.ModuleList(NodeInput(spec, hidden, dropout) for spec in specs.values())

    def encode(self, node_type: NodeType, ids: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """[N, hidden] of nodes of one type."""
        encoded: Tensor = self.types[self.index[node_type]](ids, features)
        return encoded

    def forward(
        self, input_ids: Mapping[NodeType, Tensor], features: Mapping[NodeType, Mapping[str, Tensor]]
    ) -> dict[NodeType, Tensor]:
        """[N, hidden] per type."""
        return {t: self.encode(t, ids, features.get(t, {})) for t, ids in input_ids.items()}
