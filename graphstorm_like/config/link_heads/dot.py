"""`task.head.type: dot`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.link_heads.base import LinkHeadConfig


class DotHeadConfig(LinkHeadConfig):
    """score(s, t) = <h_s, h_t>: symmetric, unless `directed`."""

    type: Literal["dot"]
    directed: bool = False
    """Map sources and targets by a matrix each first, so that s -> t and t -> s may differ."""
    normalize: bool = True
    """Scale both ends to length 1 (cosine); pairs well with info_nce."""
