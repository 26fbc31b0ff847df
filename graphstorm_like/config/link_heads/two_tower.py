"""`task.head.type: two_tower`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.link_heads.base import LinkHeadConfig


class TwoTowerHeadConfig(LinkHeadConfig):
    """score(s, r, t) = <f(h_s) * w_r, g(h_t)>: sources and targets go through a network each, f and g, which have one
    hidden layer. Targets can be searched by inner product."""

    inverts: ClassVar[bool] = True

    type: Literal["two_tower"]
    normalize: bool = True
    """Scale the outputs of both networks to length 1."""
