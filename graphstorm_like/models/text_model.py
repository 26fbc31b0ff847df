"""The model without a graph: the language model's vectors, and nothing else.

h = LayerNorm(mean over the node's texts), and a linear map when another width is requested. The norm removes the
scale, which differs between encoders by a factor of a hundred: a head's learning rate would depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.encoders.base import GraphEncoder
from graphstorm_like.models.lm_gnn import LmGnn


class SharedVector(nn.Module):
    """One learnt vector, shared by all nodes of a type without text."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.zeros(hidden))

    def forward(self, count: int) -> Tensor:
        """[count, hidden]"""
        return self.vector.expand(count, -1)


class TextInputs(nn.Module):
    """Text vectors [N, F] by name -> [N, hidden], a norm (and a map) per node type."""

    def __init__(self, widths: Mapping[NodeType, Mapping[str, int]], hidden: int, project: bool) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(widths)}
        self.names = [sorted(w) for w in widths.values()]
        self.maps = nn.ModuleList()
        for by_name in widths.values():
            if not by_name:
                self.maps.append(SharedVector(hidden))
                continue
            (width,) = set(by_name.values())  # one language model per node type
            parts: list[nn.Module] = [nn.LayerNorm(width)]
            if project or width != hidden:
                parts.append(nn.Linear(width, hidden))
            self.maps.append(nn.Sequential(*parts))

    def numbers(self) -> dict[NodeType, list[str]]:
        """Names of all inputs, by node type."""
        return {node_type: self.names[number] for node_type, number in self.index.items()}

    def unit(self, node_type: NodeType, name: str, rows: Tensor) -> Tensor:
        """[N, 1]: the standard deviation within each vector, by which the norm divides it."""
        return rows.float().std(dim=-1, keepdim=True)

    def encode(self, node_type: NodeType, ids: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """[N, hidden] of nodes of one type."""
        number = self.index[node_type]
        if not self.names[number]:
            shared: Tensor = self.maps[number](len(ids))
            return shared
        rows = [features[name].float() for name in self.names[number]]
        mean = rows[0] if len(rows) == 1 else torch.stack(rows).mean(dim=0)
        mapped: Tensor = self.maps[number](mean)
        return mapped

    def forward(
        self, input_ids: Mapping[NodeType, Tensor], features: Mapping[NodeType, Mapping[str, Tensor]]
    ) -> dict[NodeType, Tensor]:
        """[N, hidden] per type."""
        return {t: self.encode(t, ids, features.get(t, {})) for t, ids in input_ids.items()}


class NoLayers(GraphEncoder):
    """Returns the vectors unchanged."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.num_hops, self.layers, self.jump = 0, nn.ModuleList(), None

    def forward(self, blocks: Sequence[Block], hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See class."""
        return hidden


class TextModel(LmGnn):
    """MiniBatch with text vectors -> vectors [S, hidden] of the seeds. project: map also where widths agree."""

    reads_only_text = True

    def __init__(self, widths: Mapping[NodeType, Mapping[str, int]], hidden: int, project: bool = False) -> None:
        nn.Module.__init__(self)
        self.hidden = hidden
        self.inputs = TextInputs(widths, hidden, project)  # type: ignore[assignment]
        self.gnn = NoLayers()
