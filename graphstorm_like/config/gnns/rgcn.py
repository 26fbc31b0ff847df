"""RGCN."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.gnns.weighted import WeighedGnnConfig


class RgcnConfig(WeighedGnnConfig):
    """Relational GCN (Schlichtkrull et al. 2018): a mean per relation, a matrix per relation, a self loop."""

    type: Literal["rgcn"]
    bases: PositiveInt | None = None
    """Basis decomposition: relations share this many matrices."""
    blocks: PositiveInt | None = None
    """Block-diagonal decomposition: a relation's matrix is this many blocks, which divide `hidden`."""

    @model_validator(mode="after")
    def _one_decomposition(self) -> RgcnConfig:
        if self.blocks is not None and self.bases is not None:
            raise KeyedError("blocks", "must be left out with bases: a matrix is decomposed in one way")
        if self.blocks is not None and self.hidden % self.blocks:
            raise KeyedError("blocks", f"must divide hidden, {self.hidden} (got {self.blocks})")
        return self
