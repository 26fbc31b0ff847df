"""baselines.json in a run's folder: what simple models score on the run's own splits. Written at the end of `gsl run`
(`graphstorm_like.baselines.quick`), read by the summary, the report and comparisons. No result depends on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.files import read_object

BASELINES_FILE = "baselines.json"


@dataclass(frozen=True, slots=True)
class SimpleModels:
    """The simple models of one task. scores: by name, split and metric, in the order of what they read."""

    task: str
    """Empty where the run has one task"""
    select_by: str
    higher_is_better: bool
    split: str
    """The split that they are compared on: test, or valid where there is no test"""
    best: str
    """The one with the best validation score"""
    scores: dict[str, dict[str, dict[str, float]]]
    valid_is_sample: bool
    """Whether validation scores are of some of the validation rows"""

    def compared(self, name: str | None = None) -> dict[str, float]:
        """Return the metrics of a simple model, by default the best one, on the split for comparisons."""
        return self.scores[name or self.best][self.split]

    def beats(self, scores: dict[str, dict[str, float]]) -> bool:
        """Return whether the best simple model scores better than the run, whose scores are given by split."""
        own, other = scores.get(self.split, {}).get(self.select_by), self.compared().get(self.select_by)
        if own is None or other is None or not (math.isfinite(own) and math.isfinite(other)):
            return False
        return other > own if self.higher_is_better else other < own

    def warning(self, scores: dict[str, dict[str, float]]) -> str:
        """Return a sentence that says that the network is below the best simple model."""
        own, other = scores[self.split][self.select_by], self.compared()[self.select_by]
        return (
            f"The network is below the simple model '{self.best}': {self.split} {self.select_by} {own:.4f} against "
            f"{other:.4f}. Look at its inputs and its training (docs/guide/baseline.md), or use the simple model"
        )


def read_simple_models(output: Path) -> list[SimpleModels]:
    """Return the simple models of each task of a run; empty where none were fitted or the file cannot be read."""
    content = read_object(output / BASELINES_FILE) or {}
    try:
        return list(_parsed(content.get("tasks", {})))
    except (AttributeError, KeyError, TypeError):  # another version's, or not ours
        return []


def _parsed(tasks: dict[str, dict[str, object]]) -> Iterator[SimpleModels]:
    for name, of_task in tasks.items():
        scores = {}
        for model in of_task["baselines"]:  # type: ignore[attr-defined]
            if "not_applicable" not in model:
                scores[str(model["name"])] = {
                    split: dict(model[split]) for split in ("valid", "test") if split in model
                }
        if of_task["best"] in scores:
            yield SimpleModels(
                task=name,
                select_by=str(of_task["select_by"]),
                higher_is_better=bool(of_task["higher_is_better"]),
                split=str(of_task["split"]),
                best=str(of_task["best"]),
                scores=scores,
                valid_is_sample=bool(of_task.get("valid_is_sample", False)),
            )
