"""Convolutions of PyTorch Geometric."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.gnns.base import GnnConfig


class PygConfig(GnnConfig):
    """A convolution of torch_geometric.nn (extra `pyg`) in each layer, one per relation: any that takes pairs of source
    and target vectors."""

    type: Literal["pyg"]
    conv: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """Name of the class, e.g. GATv2Conv, TransformerConv, GENConv."""
    args: dict[str, bool | int | float | str] = {}
    """Its further arguments. in_channels, out_channels, edge_dim and nn are given to it."""
    combine: Literal["sum", "mean"] = "sum"
    """How a node joins what its relations say."""
