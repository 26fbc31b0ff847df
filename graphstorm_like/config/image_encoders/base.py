"""What every image encoder has in its configuration."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class ImageEncoderConfig(Choice, tag="type"):
    """An image encoder: one vector per image, learnt end to end with the graph network. Every image input has its
    own weights."""

    type: str

    def unreadable(self, height: int, width: int) -> str | None:
        """What is wrong with images of a size, in pixels: a rule that they break. None: nothing."""
        return None
