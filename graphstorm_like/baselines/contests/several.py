"""Several tasks at once: those of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphstorm_like.baselines.base import CONTESTS, Around, Contest, contests
from graphstorm_like.tasks import MultiTask


@CONTESTS.register(MultiTask)
def of_several(task: MultiTask, around: Around) -> Iterator[Contest]:
    """Under the names that the scores of the tasks have."""
    for name, part in task.named():
        for contest in contests(part, replace(around, config=task.config.tasks[name])):
            yield replace(contest, prefix=f"{name}.{contest.prefix}")
