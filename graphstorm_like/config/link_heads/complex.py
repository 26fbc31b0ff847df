"""`task.head.type: complex`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.link_heads.base import LinkHeadConfig


class ComplexHeadConfig(LinkHeadConfig):
    """ComplEx (Trouillon et al. 2016): score(s, r, t) = Re <h_s, w_r, conj(h_t)>, over complex numbers. Like DistMult,
    but s -> t and t -> s may differ. `model.gnn.hidden` must be even."""

    inverts: ClassVar[bool] = True
    factorizes: ClassVar[bool] = True

    type: Literal["complex"]
    start: Literal["dot", "random"] = "dot"
    """The weights at first. dot: 1, so that the score is a dot product, from which relations learn to differ; random:
    normal, as in the paper, for learnable vectors: from 1 it is a long way to relations that a node does not have to
    itself."""
    normalize: bool = True
    """Scale both ends to length 1 first; false: as in the paper."""
