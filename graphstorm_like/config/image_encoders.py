"""`model.image_encoder`: what makes vectors of images.

pixel_patch   a small transformer on the pixels of patches, learnt with the graph network
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import Fraction, KeyedError, PositiveInt
from graphstorm_like.config.choice import Choice


class ImageEncoderConfig(Choice, tag="type"):
    """An image encoder: one vector per image, learnt end to end with the graph network. Every image input has its
    own weights."""

    type: str

    def unreadable(self, height: int, width: int) -> str | None:
        """What is wrong with images of a size, in pixels: a rule that they break. None: nothing."""
        return None


class PixelPatchConfig(ImageEncoderConfig):
    """A linear map of the pixels of each patch, and a small transformer over the patches: no pretrained vision encoder
    (Tuna-2, arXiv 2604.24763)."""

    type: Literal["pixel_patch"]
    patch: PositiveInt = 16
    """Height and width of a patch in pixels; it must divide those of the images."""
    width: PositiveInt = 128
    """Width of the vectors of patches and images."""
    layers: Annotated[int, Field(ge=0)] = 1
    """Layers of the transformer. With 0, patches do not attend to each other, which takes the least time and memory."""
    heads: PositiveInt = 4
    """`width` is divided among them."""
    pool: Literal["mean", "max"] = "mean"
    """How the patches' vectors become one."""
    mask_probability: Fraction = 0.5
    """Share of the images of a training batch in which patches are masked. 0: never."""
    max_mask_ratio: Fraction = 0.5
    """In such an image the share of masked patches is drawn uniformly between 0 and this."""

    @model_validator(mode="after")
    def _whole_heads(self) -> PixelPatchConfig:
        if self.width % self.heads:
            raise KeyedError("heads", f"must divide width, {self.width} (got {self.heads})")
        return self

    def unreadable(self, height: int, width: int) -> str | None:
        """Both sides must be multiples of the patch."""
        if height % self.patch or width % self.patch:
            return f"must be multiples of model.image_encoder.patch, {self.patch} (got [{height}, {width}])"
        return None
