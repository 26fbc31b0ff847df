"""TensorBoard."""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.trackers.base import TrackerConfig


class TensorBoardConfig(TrackerConfig):
    """TensorBoard's event files, in `tensorboard/` beside metrics.jsonl."""

    type: Literal["tensorboard"]

    module: ClassVar[str] = "tensorboard"
    package: ClassVar[str] = "tensorboard"
    extra: ClassVar[str] = "track"
