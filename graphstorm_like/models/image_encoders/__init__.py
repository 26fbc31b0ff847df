"""Image encoders; a new kind is a new file."""

from graphstorm_like.models.image_encoders.base import IMAGE_ENCODERS, ImageEncoder, ImageInputSpec, ImageProjection

__all__ = ["IMAGE_ENCODERS", "ImageEncoder", "ImageInputSpec", "ImageProjection"]
