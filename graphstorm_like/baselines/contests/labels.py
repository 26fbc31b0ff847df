"""Labels of nodes and edges: a class, several classes or a number a row."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.baselines.base import CONTESTS, Around, Contest
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.tasks import LabelTask


@CONTESTS.register(LabelTask)
def of_labels(task: LabelTask, around: Around) -> Iterator[Contest]:
    """One."""
    yield Contest(task, LABELS, LabelData(task, around.config, around.model, around.union))
