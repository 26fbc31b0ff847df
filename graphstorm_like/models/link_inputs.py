"""What a link decoder reads of the edge itself: it changes the source's vector before the decoder compares it.

x = ReLU(sum over inputs f of W_f f),   h_s' = h_s * (1 + A x) + B x

(feature-wise linear modulation, Perez et al., AAAI 2018). A and B start at 0: at first there is the decoder alone. All
candidates of an edge, true or wrong, are compared with the same h_s': negatives have the features of the edge that they
corrupt.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from graphstorm_like.models.heads.edge import NO_MAGNITUDES, own_projections, own_sum


class LinkInputs(nn.Module):
    """hidden: width of the model's vectors."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.names: list[str] = []
        self.own = nn.ModuleList()
        self.changes = nn.Linear(hidden, 2 * hidden)
        nn.init.zeros_(self.changes.weight)
        nn.init.zeros_(self.changes.bias)

    def reads(self, widths: Mapping[str, int], magnitudes: Mapping[str, float] = NO_MAGNITUDES) -> None:
        """Widths of the edges' own inputs, by name, and what some of them are divided by."""
        self.names, self.own = sorted(widths), own_projections(widths, self.hidden, magnitudes)

    def forward(self, source: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Vectors [B, D] of the sources of B edges, rows [B, F] of the edges by name -> [B, D]."""
        x = own_sum(self.names, self.own, inputs).relu()
        scale, shift = self.changes(x).chunk(2, dim=-1)
        changed: Tensor = source * (1.0 + scale) + shift
        return changed
