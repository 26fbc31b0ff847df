"""What every training phase has: a learning rate over time, and when to stop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import NonNegativeFloat, PositiveInt, Strict


class ScheduleConfig(Strict):
    """Learning rate over time: warm-up from 0, then constant, linear or cosine decay."""

    type: Literal["constant", "linear", "cosine"] = "cosine"
    """How the rate falls after the warm-up."""
    warmup_fraction: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of all steps in which the rate rises from 0."""
    final_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """The last learning rate, as a part of the highest (linear and cosine)."""


class EarlyStopConfig(Strict):
    """Stop when the validation number has not improved by `min_delta` for `patience` evaluations."""

    patience: PositiveInt = 5
    """Evaluations without a better validation number, after which training stops."""
    min_delta: NonNegativeFloat = 0.0
    """What counts as better: an improvement of more than this."""
    burn_in: Annotated[int, Field(ge=0)] = 0
    """Evaluations within the first so many epochs do not count towards `patience`."""
    rule: Literal["best", "mean"] = "best"
    """best: as above. mean: stop at an evaluation that is no better than the mean of the `patience` evaluations before
    it, which a single lucky one does not decide."""
