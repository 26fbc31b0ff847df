"""GAT."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.gnns.heads import AttentionGnnConfig


class GatConfig(AttentionGnnConfig):
    """Graph attention (Velickovic et al. 2018), heterogeneous: a matrix per node type, attention vectors per relation,
    one attention over all edges into a node, a self loop."""

    type: Literal["gat"]
