"""Ranks of a run's test links with their spread, from what `gsl evaluate` has written of every scored link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphstorm_like.config.metrics import MetricConfig
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.deploy.bootstrap import MAX_ROWS, bounds, samples
from graphstorm_like.deploy.run import FinishedRun
from graphstorm_like.files import read_object
from graphstorm_like.inference.ranks import RANKS_FOLDER, read_ranks
from graphstorm_like.launch.state import DONE_FILE, stage_folder
from graphstorm_like.tasks.metrics import Metrics
from graphstorm_like.tasks.ranking import Ranks


@dataclass(frozen=True)
class HeldRanks:
    """The ranks [n] of the test links of each relation, in ascending order, and the metrics that are made of them.

    average: micro when a metric is the mean over all links, macro when it is the mean over relations of theirs.
    """

    metrics: Sequence[MetricConfig]
    by_relation: Sequence[Ranks]
    average: str = "macro"

    def intervals(self) -> dict[str, tuple[float, float]]:
        """By metric, the bounds within which the metric of 95 % of the samples lies: links drawn with replacement from
        all, or within each relation (macro). The same however many processes have ranked the links, since only the
        ranks count, not their order."""
        pooled = [Ranks.together(self.by_relation).ordered()] if self.average == "micro" else self.by_relation
        parts = [_fewer(ranks) for ranks in pooled]
        measured, found = Metrics(self.metrics), dict[str, list[float]]()
        for rows_by_part in samples([len(ranks) for ranks in parts]):
            drawn = [ranks[rows] for ranks, rows in zip(parts, rows_by_part, strict=True)]
            scores = [measured.measure(ranks.rank, ranks.candidates) for ranks in drawn]
            for name in measured.by_name:
                found.setdefault(name, []).append(float(np.mean([of_part[name] for of_part in scores])))
        return bounds(found)


def held_ranks(run: FinishedRun) -> HeldRanks | None:
    """The test links of a finished run; None when it was not evaluated with these weights, or ranks nothing."""
    folder = stage_folder(run.pipeline, "evaluate")
    if (read_object(folder / DONE_FILE) or {}).get("model") != run.weights_id:
        return None
    relations = [path for path in sorted((folder / RANKS_FOLDER / "test").glob("*")) if path.is_dir()]
    found = [ranks for ranks in map(ordered_ranks, relations) if len(ranks)]
    task: TaskConfig = run.pipeline.task
    if not found or not task.ranks_links:
        return None
    return HeldRanks(getattr(task, "metrics", ()), found, getattr(task, "average", "macro"))


def ordered_ranks(folder: Path) -> Ranks:
    """Ranks of a relation's links in ascending order, of all files."""
    return read_ranks(sorted(folder.glob("*.parquet"))).ordered()


def _fewer(ranks: Ranks) -> Ranks:
    """Of more than MAX_ROWS, evenly spaced ones."""
    if len(ranks) <= MAX_ROWS:
        return ranks
    return ranks[np.linspace(0, len(ranks) - 1, MAX_ROWS).astype(np.int64)]
