"""Relational graph attention."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.gnns.heads import AttentionGnnConfig


class RgatConfig(AttentionGnnConfig):
    """Relational graph attention (Busbridge et al. 2019): attention within each relation, a matrix per relation, a
    self loop."""

    type: Literal["rgat"]
