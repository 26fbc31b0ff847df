"""An exponential moving average of weights: m <- d m + (1 - d) w after every step, d = min(decay, (1 + t) / (10 + t)).

The average lies in the resume point, so that a resumed run goes on with it; the loop goes on with the weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class Ema:
    """Of the parameters that an optimizer steps. Ranks have the same parameters, and so the same averages."""

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self.parameters, self.decay = list(parameters), decay
        self.averages = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """After step number `steps`, counted from 1."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            average.lerp_(parameter, 1.0 - decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """While the body runs the parameters hold the averages."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            weights = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(weights)

    def state(self) -> list[Tensor]:
        """For the resume point."""
        return self.averages

    @torch.no_grad()
    def load(self, state: Sequence[Tensor]) -> None:
        """From the resume point."""
        for average, saved in zip(self.averages, state, strict=True):
            average.copy_(saved)
