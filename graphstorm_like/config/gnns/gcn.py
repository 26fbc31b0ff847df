"""GCN."""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.gnns.base import GnnConfig


class GcnConfig(GnnConfig):
    """Graph convolution (Kipf and Welling 2017): neighbours and the node itself, normalised by the degrees of both
    ends; a matrix per node type, all relations alike."""

    type: Literal["gcn"]
    residual: bool = False
    """Add a layer's input to its output. The convolution has a self loop already, as in the paper: with the residual
    few labels are learnt by heart from a node's own inputs."""

    reads_degrees: ClassVar[bool] = True
