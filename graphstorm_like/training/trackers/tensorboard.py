"""TensorBoard: event files."""

from __future__ import annotations

from collections.abc import Mapping

from graphstorm_like.config.trackers import TensorBoardConfig
from graphstorm_like.training.trackers.base import TRACKERS, RunTracker, TrackedRun


@TRACKERS.register(TensorBoardConfig)
class TensorBoardTracker(RunTracker):
    """TensorBoard hides numbers behind the resume point by itself (`purge_step`)."""

    def __init__(self, config: TensorBoardConfig, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = run.resume_from + 1 if run.resume_from else None
        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=purge)

    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """See RunTracker."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, update)

    def close(self) -> None:
        """See RunTracker."""
        self._writer.close()
