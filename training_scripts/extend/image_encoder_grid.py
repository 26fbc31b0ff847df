"""An image encoder of your own: the mean colour of each cell of a grid, and nothing to learn but the map behind it.

plugins: [./image_encoder_grid.py]
model: { image_encoder: { type: grid, cells: 2 } }
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.image_encoders import ImageEncoderConfig
from graphstorm_like.models.image_encoders.base import IMAGE_ENCODERS, ImageEncoder


class GridConfig(ImageEncoderConfig):
    """Mean colours of a grid of cells."""

    type: Literal["grid"]
    cells: PositiveInt = 2
    """A side."""

    def unreadable(self, height: int, width: int) -> str | None:
        """Each cell must have a pixel."""
        if min(height, width) < self.cells:
            return f"must be at least {self.cells} pixels high and wide"
        return None


@IMAGE_ENCODERS.register(GridConfig)
class Grid(ImageEncoder):
    """See module."""

    def __init__(self, config: GridConfig, height: int, width: int) -> None:
        super().__init__()
        self.cells, self.size = config.cells, (height, width)
        self.width = 3 * config.cells**2

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, H * W * 3], 0 to 255 -> [N, 3 * cells * cells], 0 to 1."""
        images = pixels.float().reshape(-1, *self.size, 3).permute(0, 3, 1, 2) / 255.0
        return adaptive_avg_pool2d(images, self.cells).flatten(1)
