"""Averages of neighbours' inputs, computed before training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.gnns.base import GnnConfig


class HopsConfig(GnnConfig):
    """No messages while training: each node's inputs and the averages of its neighbours' inputs, computed once for a
    whole graph, enter an MLP of `layers` layers (SIGN: Frasca et al. 2020; relations mixed as in NARS: Yu et al. 2020).
    For tasks about nodes whose inputs do not learn; a batch needs no neighbours, an epoch costs what an MLP's does."""

    type: Literal["hops"]
    reach: Annotated[int, Field(ge=1, le=5)] = 2
    """How many hops away the averages reach. Each takes, a node and relation into it, as many numbers as an input."""

    @property
    def hops(self) -> int:
        """None of the layers passes messages."""
        return 0

    @property
    def averaged_hops(self) -> int:
        """See GnnConfig."""
        return self.reach
