"""Classifier of one node's vector: linear, or an MLP."""

from __future__ import annotations

from torch import Tensor, nn


class NodeClassifier(nn.Module):
    """[S, D] -> logits [S, C]."""

    def __init__(self, hidden: int, classes: int, layers: int = 1) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        for _ in range(layers - 1):
            stack += [nn.Linear(hidden, hidden), nn.ReLU()]
        self.stack = nn.Sequential(*stack, nn.Linear(hidden, classes))

    def forward(self, hidden: Tensor) -> Tensor:
        """See class."""
        logits: Tensor = self.stack(hidden)
        return logits
