"""What every graph network has in its configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.choice import Choice

Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]


class GnnConfig(Choice, tag="type"):
    """A graph network: layers from a node's own inputs and its neighbours' messages to vectors."""

    type: str
    hidden: PositiveInt = 128
    """Width of the vectors."""
    layers: PositiveInt = 2
    """Number of layers."""
    dropout: Dropout = 0.2
    """Between layers, while training."""
    norm: Literal["layer", "none"] = "layer"
    """Of each layer's output."""
    residual: bool = True
    """Add a layer's input to its output."""

    @property
    def hops(self) -> int:
        """How many of the layers pass messages: as many fanouts are needed."""
        return self.layers
