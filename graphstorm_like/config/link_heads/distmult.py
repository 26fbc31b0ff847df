"""`task.head.type: distmult`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.link_heads.base import LinkHeadConfig


class DistMultHeadConfig(LinkHeadConfig):
    """score(s, r, t) = <h_s, w_r, h_t> (Yang et al. 2015): symmetric, so that it cannot tell s -> t from t -> s."""

    inverts: ClassVar[bool] = True
    factorizes: ClassVar[bool] = True

    type: Literal["distmult"]
    start: Literal["dot", "random"] = "dot"
    """The weights at first. dot: 1, so that the score is a dot product, from which relations learn to differ; random:
    normal, as in the paper, for learnable vectors: from 1 it is a long way to relations that a node does not have to
    itself."""
    normalize: bool = True
    """Scale both ends to length 1 first."""
