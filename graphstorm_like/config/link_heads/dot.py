"""`task.head.type: dot`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.link_heads.base import LinkHeadConfig


class DotHeadConfig(LinkHeadConfig):
    """score(s, t) = <h_s, h_t>, the cosine unless `normalize: false`: symmetric, unless `directed`, and the same for
    all relations."""

    inverts: ClassVar[bool] = True

    type: Literal["dot"]
    directed: bool = False
    """Map sources and targets by a matrix each first, so that s -> t and t -> s may differ."""
    normalize: bool = True
    """Scale both ends to length 1 (cosine); pairs well with info_nce."""
