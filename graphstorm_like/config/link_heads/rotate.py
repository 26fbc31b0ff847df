"""`task.head.type: rotate`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_heads.base import LinkHeadConfig


class RotateHeadConfig(LinkHeadConfig):
    """RotatE (Sun et al. 2019): score(s, r, t) = gamma - ||h_s * r - h_t||. A relation turns each coordinate of the
    source, a complex number, by an angle of its own: it tells symmetric, inverse and composed relations apart. Its
    scores are no inner products, so that scoring all nodes takes longer. `model.gnn.hidden` must be even."""

    inverts: ClassVar[bool] = True

    type: Literal["rotate"]
    norm: Literal["l1", "l2"] = "l1"
    """l1: the sum of the coordinates' moduli, as in the paper; l2: the length of the difference, which takes about as
    long as TransE's."""
    gamma: PositiveFloat = 9.0
    """The score of a target that lies where the turned source does; a softmax (info_nce) does not see it."""
    normalize: bool = True
    """Scale both ends to length 1, so that temperatures mean the same at every width; false: as in the paper."""
