"""Metrics, one a file, found by the class of their configuration."""

from graphstorm_like.tasks.metrics.base import METRICS, LabelFacts, Metric, Metrics, Numbers
from graphstorm_like.tasks.metrics.summed import TorchMetric

__all__ = ["METRICS", "LabelFacts", "Metric", "Metrics", "Numbers", "TorchMetric"]
