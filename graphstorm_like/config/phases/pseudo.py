"""`train.phases`, type pseudo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.phases.base import PhaseSurroundings, TextPhaseConfig


class PseudoPhase(TextPhaseConfig):
    """GLEM's language model step (Zhao et al. 2023): gold labels, and the graph network's on all other nodes."""

    type: Literal["pseudo"]
    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Of the pseudo labels' loss; the gold labels have the rest."""
    min_confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Nodes whose most probable class is less probable are left out."""

    reads_graph_network: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """See PhaseConfig."""
        if not around.task.classifies_nodes:
            yield f"must be another strategy than glem for {around.task.type}: pseudo labels are classes of nodes"
        if around.task.goes_in_order:
            yield "must be another strategy than glem with task.snapshots: pseudo labels are of all times"
        yield from super().check(around)
