"""`task.head.type: transe`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_heads.base import LinkHeadConfig


class TransEHeadConfig(LinkHeadConfig):
    """TransE (Bordes et al. 2013): score(s, r, t) = gamma - ||h_s + w_r - h_t||. Tells inverse, antisymmetric and
    composed relations apart, but no symmetric ones, and no relation with many targets a source. Its scores are no inner
    products, so that scoring all nodes takes longer."""

    inverts: ClassVar[bool] = True

    type: Literal["transe"]
    norm: Literal["l1", "l2"] = "l2"
    """Sum of absolute differences, or length of the difference."""
    gamma: PositiveFloat = 9.0
    """The score of a target that lies where the relation leads; a softmax (info_nce) does not see it."""
    normalize: bool = False
    """Scale both ends to length 1 first."""
