"""A tracker of your own: the numbers of a training as a table, a line for each number.

plugins: [./tracker_table.py]
train:
  track: { trackers: [{ type: table, file: numbers.csv }] }
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Literal

from graphstorm_like.config.trackers import TrackerConfig
from graphstorm_like.training.trackers import TRACKERS, RunTracker, TrackedRun


class TableConfig(TrackerConfig):
    """A CSV file with the columns update, name and value."""

    type: Literal["table"]
    file: str = "numbers.csv"
    """Its name, in the folder of the training."""


@TRACKERS.register(TableConfig)
class TableTracker(RunTracker):
    """See TableConfig."""

    def __init__(self, config: TableConfig, run: TrackedRun) -> None:
        mode = "a" if run.resume_from else "w"
        self._file = open(run.folder / config.file, mode, encoding="utf-8", newline="")  # noqa: SIM115
        self._table = csv.writer(self._file)

    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """See RunTracker."""
        for name, value in numbers.items():
            self._table.writerow([update, name, value])

    def close(self) -> None:
        """See RunTracker."""
        self._file.close()
