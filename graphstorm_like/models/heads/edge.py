"""Predictions from the vectors of both ends of an edge, and from the edge's own inputs: linear, or an MLP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from graphstorm_like.modality import TEXT, split_input_name

NO_MAGNITUDES: Mapping[str, float] = MappingProxyType({})


class EdgeHead(nn.Module):
    """[B, D] of sources and of targets -> [B, outputs], from [h_s, h_t, h_s * h_t], or with bases from h_s' W_b h_t, a
    number each: s -> t and t -> s differ.

    own: whether a vector [B, D] of the edges' own inputs is read too; `reads` names these inputs.
    """

    def __init__(self, hidden: int, outputs: int, layers: int = 2, own: bool = False, bases: int | None = None) -> None:
        super().__init__()
        self.hidden = hidden
        # Of a deviation that keeps the numbers of vectors with entries of 1 at 1.
        self.bases = None if bases is None else nn.Parameter(torch.randn(bases, hidden, hidden) / hidden)
        of_ends = 3 * hidden if bases is None else bases
        widths = [of_ends + own * hidden, *[hidden] * (layers - 1)]
        stack: list[nn.Module] = []
        for width in widths[:-1]:
            stack += [nn.Linear(width, hidden), nn.ReLU()]
        self.stack = nn.Sequential(*stack, nn.Linear(widths[-1], outputs))
        self.names: list[str] = []
        self.own = nn.ModuleList()

    def reads(self, widths: Mapping[str, int], magnitudes: Mapping[str, float] = NO_MAGNITUDES) -> None:
        """Widths of the edges' own inputs, by name, and what some of them are divided by."""
        self.names, self.own = sorted(widths), own_projections(widths, self.hidden, magnitudes)

    def forward(self, source: Tensor, target: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        """See class. inputs: rows [B, F] by name."""
        parts = [source, target, source * target]
        if self.bases is not None:
            parts = [torch.einsum("bi,kij,bj->bk", source, self.bases, target)]
        if self.names:
            assert inputs is not None
            parts.append(own_sum(self.names, self.own, inputs))
        out: Tensor = self.stack(torch.cat(parts, dim=-1))
        return out


class Divided(nn.Module):
    """Rows divided by a constant, which is saved with the weights."""

    def __init__(self, magnitude: float) -> None:
        super().__init__()
        self.register_buffer("magnitude", torch.tensor(magnitude))

    def forward(self, rows: Tensor) -> Tensor:
        """See class."""
        return rows / self.get_buffer("magnitude")


def own_projections(widths: Mapping[str, int], hidden: int, magnitudes: Mapping[str, float]) -> nn.ModuleList:
    """Maps of edges' own inputs to a common width, by ascending name. Text vectors get a norm: language models differ
    in their scale. magnitudes: what some others are divided by, as at nodes."""
    projections = nn.ModuleList()
    for name in sorted(widths):
        norm: list[nn.Module] = [nn.LayerNorm(widths[name])] if split_input_name(name)[0] == TEXT else []
        if name in magnitudes:
            norm.append(Divided(magnitudes[name]))
        projections.append(nn.Sequential(*norm, nn.Linear(widths[name], hidden)))
    return projections


def own_sum(names: Sequence[str], projections: nn.ModuleList, inputs: Mapping[str, Tensor]) -> Tensor:
    """[B, hidden]: the sum of the mapped inputs. inputs: rows [B, F] by name."""
    named = zip(names, projections, strict=True)
    mapped = [projection(inputs[name].float()) for name, projection in named]
    return torch.stack(mapped).sum(dim=0)
