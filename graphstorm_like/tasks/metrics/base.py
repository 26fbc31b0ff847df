"""A metric: a vector of sums that adds over ranks, and its value. Its configuration says which direction is better.

What is measured over n rows. Of classes: probabilities [n, C] and labels [n] int64; of several classes a row, labels
[n, C], 0 or 1. Of numbers: predictions and labels
[n]. Of ranks: those [n] of the true answers, and as labels the
number [n] of candidates that each was ranked among, itself included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.metrics import MetricConfig
from graphstorm_like.errors import ConfigError, did_you_mean
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry

METRICS: Registry[type[Metric]] = Registry("metric", "graphstorm_like.tasks.metrics")

Numbers = npt.NDArray[Any]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What a metric may know about the labels: the number of classes, and their names; the probability above which a
    row is predicted to have a class, where it may have several (None: it has one); mean and deviation of the numbers
    to train on."""

    classes: int = 0
    threshold: float | None = None
    center: float = 0.0
    spread: float = 1.0
    names: Sequence[str] = ()

    def position(self, name: str) -> int:
        """Of a class. Raises ConfigError when there is none of this name."""
        if name not in self.names:
            listed = ", ".join(self.names[:20])
            raise ConfigError(
                f"task.metrics: of_class must be a class of the label, {listed} (got {name!r})."
                f"{did_you_mean(name, self.names)}"
            )
        return list(self.names).index(name)


class Metric(ABC):
    """One number from sums over rows."""

    def __init__(self, config: MetricConfig, facts: LabelFacts) -> None:
        self.config, self.facts = config, facts

    @abstractmethod
    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """Sums [m] over n rows; those over all rows are their total. n may be 0."""

    @abstractmethod
    def value(self, sums: Sums) -> float:
        """The metric, from the sums over all rows."""


class Metrics:
    """Several metrics of the same predictions."""

    def __init__(self, configs: Sequence[MetricConfig], facts: LabelFacts | None = None) -> None:
        label_facts = facts or LabelFacts()
        self.by_name: dict[str, Metric] = {config.name: METRICS.of(config)(config, label_facts) for config in configs}

    def measure(self, predicted: Numbers, labels: Numbers, group: Group = SINGLE_PROCESS) -> dict[str, float]:
        """Metrics by name, over the rows of all members of the group."""
        sums = [metric.sums(predicted, labels) for metric in self.by_name.values()]
        ends = np.cumsum([len(part) for part in sums])
        totals = np.split(group.total(np.concatenate(sums), "scores"), ends[:-1])
        values = {}
        for (name, metric), total in zip(self.by_name.items(), totals, strict=True):
            values[name] = metric.value(total)
        return values
