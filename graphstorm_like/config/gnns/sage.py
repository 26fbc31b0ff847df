"""GraphSAGE."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.gnns.weighted import WeighedGnnConfig


class SageConfig(WeighedGnnConfig):
    """GraphSAGE (Hamilton et al. 2017), heterogeneous: W [h_dst | mean over relations r of the neighbours' messages,
    aggregated]."""

    type: Literal["sage"]
    aggregator: Literal["mean", "max", "pool"] = "mean"
    """Of a relation's neighbours: W_r mean(h_src); the largest number of each coordinate among W_r h_src; or among
    relu(W_r h_src + b_r), the paper's max-pooling."""

    @model_validator(mode="after")
    def _weighed_means(self) -> SageConfig:
        if self.edge_weight is not None and self.aggregator != "mean":
            raise KeyedError("edge_weight", f"must be left out with aggregator: {self.aggregator}, which takes no mean")
        return self
