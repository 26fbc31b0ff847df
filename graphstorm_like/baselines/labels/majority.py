"""No inputs at all: the shares of the classes; the mean or the median."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.outcome import Setting


@LABELS.register
class Majority(Baseline[LabelData]):
    """The shares of the classes among the training rows, or one number for all."""

    name, reads, needs_packages = "majority", "nothing", False

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        return None

    def estimate(self, data: LabelData) -> float:
        """See Baseline."""
        return 0.01

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        for name, answer in data.kind.constants():
            rows = np.broadcast_to(answer, (len(data.ids), *np.shape(answer)))
            yield data.setting(name, rows, lambda part: part)
