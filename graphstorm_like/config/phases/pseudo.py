"""`train.phases`, type pseudo."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.phases.base import PhaseConfig


class PseudoPhase(PhaseConfig):
    """GLEM's language model step (Zhao et al. 2023): gold labels, and the graph network's on all other nodes."""

    type: Literal["pseudo"]
    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Of the pseudo labels' loss; the gold labels have the rest."""
    min_confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Nodes whose most probable class is less probable are left out."""
