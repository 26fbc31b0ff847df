"""Pixel embeddings (Tuna-2, arXiv 2604.24763): patches of pixels go through one linear map, without a vision encoder.

x_p = W * pixels_p + position_p; in training some x_p are a learnt mask token instead; h = transformer(norm(x)); the
vector is the mean (or maximum) of norm(h) over the patches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.image_encoders import PixelPatchConfig
from graphstorm_like.models.image_encoders.base import IMAGE_ENCODERS, ImageEncoder

CHANNELS = 3


class TransformerLayer(nn.Module):
    """Attention over all patches, then an MLP; each with a norm before it and a residual around it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """[N, P, D] -> [N, P, D]."""
        n, p, d = x.shape
        split = self.queries_keys_values(self.attention_norm(x)).view(n, p, 3, self.heads, d // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, p, d)
        x = x + self.out(attended)
        mlp: Tensor = self.mlp(self.mlp_norm(x))
        return x + mlp


@IMAGE_ENCODERS.register(PixelPatchConfig)
class PixelPatch(ImageEncoder):
    """See module."""

    def __init__(self, config: PixelPatchConfig, height: int, width: int) -> None:
        super().__init__()
        assert config.unreadable(height, width) is None, "checked by the configuration"
        self.config, self.width = config, config.width
        self.rows, self.columns = height // config.patch, width // config.patch
        self.project = nn.Linear(config.patch**2 * CHANNELS, config.width)
        self.position = nn.Parameter(0.02 * torch.randn(self.rows * self.columns, config.width))
        self.mask_token = nn.Parameter(torch.zeros(config.width))
        self.norm, self.out_norm = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.layers = nn.ModuleList(TransformerLayer(config.width, config.heads) for _ in range(config.layers))

    def forward(self, pixels: Tensor) -> Tensor:
        """See ImageEncoder."""
        x = self.project(self.patches(pixels))
        if self.training:
            masked = self.draw_masks(len(x), x.device)
            x = torch.where(masked[:, :, None], self.mask_token.to(x.dtype), x)
        x = self.norm(x + self.position)
        for layer in self.layers:
            x = layer(x)
        x = self.out_norm(x)
        pooled: Tensor = x.mean(dim=1) if self.config.pool == "mean" else x.amax(dim=1)
        return pooled

    def patches(self, pixels: Tensor) -> Tensor:
        """Pixels [N, H * W * 3] of 0 to 255 -> patches [N, P, patch * patch * 3] of -1 to 1."""
        size = self.config.patch
        grid = pixels.view(len(pixels), self.rows, size, self.columns, size, CHANNELS).transpose(2, 3)
        flat = grid.reshape(len(pixels), self.rows * self.columns, size * size * CHANNELS)
        return flat.to(self.project.weight.dtype) / 127.5 - 1.0

    def draw_masks(self, count: int, device: torch.device) -> Tensor:
        """bool [count, P]: which patches of `count` images are masked in this training step."""
        patches = self.rows * self.columns
        is_chosen = torch.rand(count, device=device) < self.config.mask_probability
        ratios = torch.rand(count, device=device) * self.config.max_mask_ratio
        ranks = torch.rand(count, patches, device=device).argsort(dim=1).argsort(dim=1)
        return is_chosen[:, None] & (ranks < (ratios * patches).round()[:, None])
