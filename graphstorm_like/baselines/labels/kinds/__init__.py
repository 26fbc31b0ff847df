"""How simple models predict a label of one kind, found by the class of the task's target."""

from graphstorm_like.baselines.labels.kinds.base import KINDS, Fitted, Kind, Numbers, Predict

__all__ = ["KINDS", "Fitted", "Kind", "Numbers", "Predict"]
