"""What every training phase has in its configuration."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import Name, PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.schedule import EarlyStopConfig, ScheduleConfig


class PhaseConfig(Choice, tag="type"):
    """What is not given is as in `train` (gnn, joint) or `train.lm` (lm, pseudo, student)."""

    name: Name
    type: str
    epochs: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    lr: PositiveFloat | None = None
    """Of graph network and head."""
    lm_lr: PositiveFloat | None = None
    """Of the language model."""
    schedule: ScheduleConfig | None = None
    """Of all that the phase trains."""
    early_stop: EarlyStopConfig | Literal["off"] | None = None
    evaluate_every: PositiveInt | None = None
