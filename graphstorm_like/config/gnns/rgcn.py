"""RGCN."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.gnns.base import GnnConfig


class RgcnConfig(GnnConfig):
    """Relational GCN (Schlichtkrull et al. 2018): a mean per relation, a matrix per relation, a self loop."""

    type: Literal["rgcn"]
    bases: PositiveInt | None = None
    """Basis decomposition: relations share this many matrices."""
