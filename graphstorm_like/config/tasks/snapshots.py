"""`task.snapshots`: training rows in the order of their times, one stretch of time after another."""

from __future__ import annotations

from graphstorm_like.config.base import PositiveInt, Strict
from graphstorm_like.config.temporal import Duration


class SnapshotsConfig(Strict):
    """The weights go through the past as it went: so many epochs on the rows of the first stretch of time, then as many
    on those of the next, each from the weights of the one before; the last one takes the epochs that remain. An epoch
    has the steps of one over the largest snapshot: rows of smaller ones come several times. Not with several tasks."""

    width: Duration
    """How long a stretch is, from the first training row's time on: e.g. 30d; where times are numbers, a number."""
    epochs: PositiveInt = 1
    """Epochs of each snapshot before the last."""
    latest: PositiveInt | None = None
    """Only this many snapshots, the latest; null: all."""
