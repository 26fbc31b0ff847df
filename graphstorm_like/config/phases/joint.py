"""`train.phases`, type joint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.phases.base import PhaseConfig


class JointPhase(PhaseConfig):
    """Graph network and language model end to end: gradients into the texts of the seeds and of a few neighbours.

    All other texts come from a table of vectors; what is computed is written back into it.
    """

    type: Literal["joint"]
    neighbors: Annotated[int, Field(ge=0)] = 1
    """How many neighbours a seed get gradients, within the budget; as many edges to it, where texts of edges enter the
    messages (`model.edge_inputs`)."""
    choose: Literal["random", "weight"] = "random"
    """Which: drawn, or those that most sampled edges lead to."""
    lm_tokens: PositiveInt = 32768
    """Tokens a step that are trained: seeds first, then edges, then neighbours. Time grows with it."""
    refresh_steps: PositiveInt | None = None
    """No vector is used that is older than this many steps: each step computes the next part of the table anew. Set it
    where an epoch is long. null: all are computed anew before each validation, which so sees what inference will."""
