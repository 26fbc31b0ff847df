"""Rows of several parts of one width -> their learnt mixture, projected."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

FloatArray = npt.NDArray[np.floating[Any]]


class MixtureProjection(nn.Module):
    """Rows [N, parts * D] -> [N, hidden]: W sum over parts p of a_p * (rows_p - shift_p) * scale_p, where * goes by
    coordinate; a [parts, D] starts as the mean over parts. moments: (mean, deviation) [parts * D], saved with W."""

    def __init__(self, parts: int, width: int, hidden: int, moments: tuple[FloatArray, FloatArray] | None) -> None:
        super().__init__()
        self.parts = parts
        self.weight = nn.Parameter(nn.Linear(width // parts, hidden, bias=False).weight.detach().clone())
        self.mix = nn.Parameter(torch.full((parts, width // parts), 1.0 / parts))
        mean, deviation = moments if moments is not None else (np.zeros(width), np.ones(width))
        self.register_buffer("shift", torch.from_numpy(np.asarray(mean, dtype=np.float32)).view(parts, -1))
        scale = torch.from_numpy(np.asarray(1.0 / np.maximum(deviation, 1e-6), dtype=np.float32))
        self.register_buffer("scale", scale.view(parts, -1))

    @property
    def unit(self) -> Tensor:
        """[parts * D] standard deviations of the entries."""
        return 1.0 / self.get_buffer("scale").flatten()

    def forward(self, rows: Tensor) -> Tensor:
        """See class."""
        factors = self.mix * self.get_buffer("scale")
        by_part = rows.to(factors.dtype).view(len(rows), self.parts, -1)
        mixed = torch.zeros_like(by_part[:, 0]) - (self.get_buffer("shift") * factors).sum(dim=0)
        for part in range(self.parts):
            mixed = mixed + by_part[:, part] * factors[part]
        return nn.functional.linear(mixed, self.weight)
