"""What makes vectors of texts from their configuration; a new kind is a new file."""

from graphstorm_like.text.encoders.base import TEXT_ENCODERS, FrozenTextEncoder, TextEmbedder, TextJob

__all__ = ["TEXT_ENCODERS", "FrozenTextEncoder", "TextEmbedder", "TextJob"]
