"""Heterogeneous graph transformer."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.gnns.base import Dropout, GnnConfig


class HgtConfig(GnnConfig):
    """Heterogeneous graph transformer (Hu et al. 2020): queries, keys and messages of each node type, matrices of each
    relation between them, one attention over all edges into a node. Without `residual` a node's own vector is lost."""

    type: Literal["hgt"]
    heads: PositiveInt = 4
    """`hidden` is divided among them."""
    attention_dropout: Dropout = 0.0
    """Of the attention weights: neighbours are left out at random."""

    @model_validator(mode="after")
    def _whole_heads(self) -> HgtConfig:
        if self.hidden % self.heads:
            raise KeyedError("heads", f"must divide hidden, {self.hidden} (got {self.heads})")
        return self
