"""Heterogeneous graph transformer."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.gnns.heads import AttentionGnnConfig


class HgtConfig(AttentionGnnConfig):
    """Heterogeneous graph transformer (Hu et al. 2020): queries, keys and messages of each node type, matrices of each
    relation between them, one attention over all edges into a node. Without `residual` a node's own vector is lost."""

    type: Literal["hgt"]
