"""The task's metrics of the rows that were predicted, with intervals, beside trivial predictions of the same rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import stored
from graphstorm_like.config.metrics import selects
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.graph.store import Graph
from graphstorm_like.reports.baselines import constants, majority, popularity_ranks
from graphstorm_like.reports.intervals import Floats, blocks, interval, mean_of_samples, sample_values
from graphstorm_like.reports.model import MetricFacts, Score
from graphstorm_like.reports.rows import ScoredRows
from graphstorm_like.tasks.graph_pretraining import relation_rows
from graphstorm_like.tasks.metrics import LabelFacts, Metric, Metrics

MOST_SUMS = 20_000_000
"""Numbers in the sums of all blocks of a metric: 160 MB"""
TOLERANCE = 1e-3
"""How far the exported predictions may be from what evaluate has measured before it is worth a word"""

Rows = Sequence[ScoredRows]
"""Of one split: those of the task's only type, or of each relation, whose mean is scored"""
Measures = dict[str, dict[str, float]]
"""By split, by metric"""


class Scorer:
    """Scores rows of a task by its metrics. train: labels of its training rows; None of links."""

    def __init__(self, task: TaskConfig, train: npt.NDArray[Any] | None, classes: Sequence[str]) -> None:
        self.configs = list(getattr(task, "metrics", []))
        self.task = task
        self.counts_rows = getattr(task, "average", "macro") == "micro"
        self.train, self.classes = train, classes
        facts = LabelFacts(classes=len(classes), names=classes)
        if train is not None and not classes and len(train):
            spread = float(train.astype(np.float64).std())
            facts = LabelFacts(center=float(train.astype(np.float64).mean()), spread=spread or 1.0)
        self.metrics = Metrics(self.configs, facts)

    def facts(self) -> dict[str, MetricFacts]:
        """Of the metrics, by name."""
        found = {}
        for config in self.configs:
            chosen = selects(self.task, config)
            found[config.name] = MetricFacts(higher_is_better=config.higher_is_better, selects=chosen)
        return found

    def measure(self, rows: Rows) -> dict[str, float]:
        """Metrics by name; nothing where outputs were too many to read."""
        outputs = []
        for part in rows:
            if part.outputs is None:
                return {}
            outputs.append((part.outputs, part.labels))
        return self._measure(outputs)

    def _measure(self, parts: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> dict[str, float]:
        """Of outputs and labels of each part: over all rows, or the mean over parts, as the task averages."""
        if self.counts_rows:
            outputs, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            return self.metrics.measure(outputs, labels)
        of_parts = [self.metrics.measure(outputs, labels) for outputs, labels in parts]
        return {name: float(np.mean([scores[name] for scores in of_parts])) for name in self.metrics.by_name}

    def scores(self, split: str, rows: Rows, evaluated: Mapping[str, float]) -> dict[str, Score]:
        """What evaluate has measured, with intervals from the rows."""
        found = {name: Score(value=_finite(value)) for name, value in evaluated.items()}
        for name, metric in self.metrics.by_name.items():
            ends = self._interval(metric, rows)
            if name in found and ends is not None:
                found[name].low, found[name].high = ends
        return found

    def _interval(self, metric: Metric, rows: Rows) -> tuple[float, float] | None:
        blocks_of_parts: list[Floats] = []
        for part in rows:
            sums = _block_sums(metric, part)
            if sums is None:
                return None
            blocks_of_parts.append(sums)
        if self.counts_rows and blocks_of_parts:
            blocks_of_parts = [np.concatenate(blocks_of_parts)]
        samples = [sample_values(sums, metric.value) for sums in blocks_of_parts]
        return interval(mean_of_samples(samples)) if samples else None

    def differences(self, split: str, rows: Rows, evaluated: Mapping[str, float]) -> Iterator[str]:
        """Where exported predictions do not give the scores that evaluate has measured."""
        for name, value in self.measure(rows).items():
            measured = evaluated.get(name, math.nan)
            if abs(value - measured) > TOLERANCE * max(1.0, abs(measured)):
                yield (
                    f"The exported predictions of {split} have {name} {value:.4f}, evaluate measured {measured:.4f}: "
                    f"they may be of another model or mode of inference."
                )

    # ------------------------------------------------------------------------------------------------- baselines

    def label_baselines(self, rows_of_split: Mapping[str, Rows]) -> dict[str, Measures]:
        """Of classes: the most frequent class of training. Of numbers: mean and median of training."""
        if self.train is None or not len(self.train):
            return {}
        found: dict[str, Measures] = {}
        for split, (rows, *_) in rows_of_split.items():
            if self.classes:
                outputs: dict[str, npt.NDArray[Any]] = {}
                if rows.probabilities is not None:
                    outputs["majority class"] = majority(self.train, len(rows), len(self.classes))
            else:
                outputs = {name: np.full(len(rows), value) for name, value in constants(self.train).items()}
            for name, predicted in outputs.items():
                found.setdefault(name, {})[split] = self.metrics.measure(predicted, rows.labels)
        return found

    def link_baselines(
        self, graph: Graph, relations: Sequence[EdgeType], protocol: Mapping[str, Any], seed: int
    ) -> dict[str, Measures]:
        """Targets ordered by their number of training edges; nothing where the tables give each edge its candidates."""
        if protocol.get("candidates") == "given":
            return {}
        by_split: dict[str, list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]] = {}
        for relation in relations:
            split_rows = relation_rows(graph, stored(relation))
            for split in ("valid", "test"):
                if len(split_rows[split]):
                    ranks = popularity_ranks(graph, relation, split_rows["train"], split_rows[split], protocol, seed)
                    by_split.setdefault(split, []).append((ranks.rank, ranks.candidates))
        return {"popularity": {split: self._measure(parts) for split, parts in by_split.items()}} if by_split else {}


def _block_sums(metric: Metric, rows: ScoredRows) -> Floats | None:
    """[blocks, m]; None where there are too many numbers, or too few rows."""
    outputs, labels = rows.outputs, rows.labels
    if outputs is None or len(rows) < 2:
        return None
    sums: list[Floats] = []
    for block in blocks(len(rows)):
        sums.append(metric.sums(outputs[block], labels[block]))
        if len(sums[0]) * min(len(rows), 100) > MOST_SUMS:
            return None
    return np.stack(sums)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
