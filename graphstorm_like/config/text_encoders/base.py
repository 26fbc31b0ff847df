"""What every text encoder has in its configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from graphstorm_like.config.choice import Choice


class TextEncoderConfig(Choice, tag="type", default="huggingface"):
    """A text encoder: one vector a text. Without `type` it is a Hugging Face model."""

    type: str

    @property
    def model_name(self) -> str | None:
        """Name or folder of the Hugging Face model whose files the vectors follow from; None: there is none."""
        return None

    @property
    def chunks(self) -> int | None:
        """The most pieces per text, if long texts are read in pieces; None: they are not."""
        return None

    def cannot_learn(self) -> str | None:
        """Why the encoder cannot be trained: what is wrong with its `type`. None: it can."""
        return (
            f"must be huggingface to be trained (got '{self.type}', which does not learn). Choose a Hugging Face "
            f"model, or set train.strategy: frozen"
        )

    def with_paths(self, absolute: Callable[[str], str]) -> Self:
        """The same with relative paths made absolute."""
        return self
