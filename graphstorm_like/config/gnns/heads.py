"""What the networks share that have attention heads."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.gnns.base import Dropout, GnnConfig


class AttentionGnnConfig(GnnConfig):
    """A network with attention heads."""

    heads: PositiveInt = 4
    """`hidden` is divided among them."""
    attention_dropout: Dropout = 0.0
    """Of the attention weights: neighbours are left out at random."""

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.hidden % self.heads:
            raise KeyedError("heads", f"must divide hidden, {self.hidden} (got {self.heads})")
        return self
