"""What every graph network has in its configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

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
    norm: Literal["layer", "rms", "l2", "none"] = "layer"
    """Of each layer's output: layer norm, RMS norm (no mean is subtracted), or length 1 (l2). Each looks at one node
    alone, so that a vector does not depend on the batch that computes it."""
    residual: bool = True
    """Add a layer's input to its output."""
    feed_forward: Annotated[int, Field(ge=0, le=8)] = 0
    """Dense layers within each layer, after its sum (NGNN: Song et al. 2021): depth without more hops."""
    jumping: Literal["last", "concat", "max"] = "last"
    """What leaves the network (jumping knowledge, Xu et al. 2018): the last layer's vectors; a linear map of the
    vectors of all layers, concatenated; or the largest number of each coordinate among the layers."""

    reads_degrees: ClassVar[bool] = False
    """Whether layers need the degrees of both ends of an edge."""

    @property
    def hops(self) -> int:
        """How many of the layers pass messages: as many fanouts are needed."""
        return self.layers

    @property
    def averaged_hops(self) -> int:
        """How many hops of neighbours' inputs are averaged before training, and enter as inputs."""
        return 0

    @property
    def weight_column(self) -> str | None:
        """The feature of edges that weighs them in sums; None: all weigh the same."""
        return None
