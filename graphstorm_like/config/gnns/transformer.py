"""Graph transformer."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.gnns.heads import AttentionGnnConfig


class TransformerConfig(AttentionGnnConfig):
    """Graph transformer (Dwivedi and Bresson 2021): in each layer a node attends to itself and to its neighbours by all
    relations together, which encodings of types and relations tell apart; then a dense layer."""

    type: Literal["transformer"]
    expansion: PositiveInt = 2
    """Width of the dense layer within each layer, as a multiple of `hidden`."""
