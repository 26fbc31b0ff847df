"""`task.head.type: bilinear`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.link_heads.base import LinkHeadConfig


class BilinearHeadConfig(LinkHeadConfig):
    """score(s, r, t) = h_s' W_r h_t (RESCAL, Nickel et al. 2011), with W_r a weighted sum of matrices that all
    relations share (Schlichtkrull et al. 2018)."""

    inverts: ClassVar[bool] = True

    type: Literal["bilinear"]
    bases: PositiveInt = 8
    """Number of the shared matrices, of hidden x hidden numbers each."""
    normalize: bool = True
    """Scale both ends to length 1 first."""
