"""A plug-in: the vector of an image is its mean colour."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from graphstorm_like.config.image_encoders import ImageEncoderConfig
from graphstorm_like.models.image_encoders import IMAGE_ENCODERS, ImageEncoder


class MeanColourConfig(ImageEncoderConfig):
    """Three numbers an image: nothing is learnt but what follows them."""

    type: Literal["mean_colour"]


@IMAGE_ENCODERS.register(MeanColourConfig)
class MeanColour(ImageEncoder):
    """See module."""

    width = 3

    def __init__(self, config: MeanColourConfig, height: int, width: int) -> None:
        super().__init__()

    def forward(self, pixels: Tensor) -> Tensor:
        """See ImageEncoder."""
        return (pixels.float().view(len(pixels), -1, 3).mean(dim=1) - 128) / 8
