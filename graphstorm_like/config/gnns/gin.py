"""GIN."""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.gnns.base import GnnConfig


class GinConfig(GnnConfig):
    """Graph isomorphism network (Xu et al. 2019; with edge inputs GINE, Hu et al. 2020): sums of neighbours, which
    count them, a matrix per relation, an MLP per node type."""

    type: Literal["gin"]
    learn_eps: bool = True
    """Learn how much more than a neighbour's a node's own vector weighs; false: it weighs the same."""

    reads_degrees: ClassVar[bool] = True
