"""GATv2."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.gnns.heads import AttentionGnnConfig


class GatV2Config(AttentionGnnConfig):
    """Graph attention whose ranking of neighbours depends on the node that asks (Brody et al. 2022), heterogeneous as
    gat; an edge takes more time and memory than there."""

    type: Literal["gatv2"]
