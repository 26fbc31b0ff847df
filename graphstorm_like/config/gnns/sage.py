"""GraphSAGE."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.gnns.base import GnnConfig


class SageConfig(GnnConfig):
    """GraphSAGE (Hamilton et al. 2017), heterogeneous: W [h_dst | mean over relations r of W_r mean(h_src)]."""

    type: Literal["sage"]
