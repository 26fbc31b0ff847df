"""Images as inputs of a node type: pixels [N, H * W * 3] -> one vector [N, hidden]."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphstorm_like.config.image_encoders import ImageEncoderConfig
from graphstorm_like.registry import Registry

CHUNK_PIXELS = 1 << 24
"""Pixels that are encoded at once without gradients: 64 MB of float32 per channel."""


@dataclass(frozen=True, slots=True)
class ImageInputSpec:
    """How an image input is encoded, and the size of its images in pixels."""

    config: ImageEncoderConfig
    height: int
    width: int


class ImageEncoder(nn.Module):
    """Subclasses take (configuration, height, width) of images in pixels."""

    width: int
    """D: width of a vector."""

    @abstractmethod
    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [N, H * W * 3], RGB from 0 to 255, row by row -> vectors [N, D]."""


IMAGE_ENCODERS: Registry[Callable[[Any, int, int], ImageEncoder]] = Registry(
    "image encoder", "graphstorm_like.models.image_encoders"
)


class ImageProjection(nn.Module):
    """An image encoder and a linear map to the model's width."""

    def __init__(self, spec: ImageInputSpec, hidden: int) -> None:
        super().__init__()
        self.encoder = IMAGE_ENCODERS.of(spec.config)(spec.config, spec.height, spec.width)
        self.map = nn.Linear(self.encoder.width, hidden, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, H * W * 3] -> [N, hidden]. Without gradients, many nodes at once are encoded in parts."""
        if torch.is_grad_enabled() or not len(pixels):
            mapped: Tensor = self.map(self.encoder(pixels))
            return mapped
        parts = torch.split(pixels, max(1, CHUNK_PIXELS * 3 // pixels.shape[1]))
        return torch.cat([self.map(self.encoder(part)) for part in parts])
