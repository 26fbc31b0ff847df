"""No graph network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.gnns.base import GnnConfig


class NoGnnConfig(GnnConfig):
    """No messages: an MLP over each node's own inputs (the text-only baseline)."""

    type: Literal["none"]
    layers: Annotated[int, Field(ge=0)] = 2
    """Number of layers; 0: the inputs themselves."""

    @model_validator(mode="after")
    def _layers_to_join(self) -> NoGnnConfig:
        if not self.layers and self.jumping != "last":
            raise KeyedError("jumping", f"must be 'last' with layers: 0 (got '{self.jumping}'): there are none to join")
        return self

    @property
    def hops(self) -> int:
        """None of the layers passes messages."""
        return 0
