"""`task.metrics`: `amri`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class AmriConfig(MetricConfig):
    """Adjusted mean rank index: 1 where all true answers come first, 0 by chance, below 0 for worse; however many
    candidates there are."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["amri"]
