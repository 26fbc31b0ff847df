"""No graph network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.gnns.base import GnnConfig


class NoGnnConfig(GnnConfig):
    """No messages: an MLP over each node's own inputs (the text-only baseline)."""

    type: Literal["none"]
    layers: Annotated[int, Field(ge=0)] = 2
    """Number of layers; 0: the inputs themselves."""

    @property
    def hops(self) -> int:
        """None of the layers passes messages."""
        return 0
