"""`task.head.type: mlp`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.link_heads.base import LinkHeadConfig


class MlpHeadConfig(LinkHeadConfig):
    """score(s, r, t) = v' tanh(A h_s + B h_t + w_r) (Dong et al. 2014): a network with one hidden layer on both ends
    and the relation. Its scores are no inner products, so that scoring all nodes takes longer."""

    inverts: ClassVar[bool] = True

    type: Literal["mlp"]
