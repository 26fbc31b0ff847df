"""Features alone: boosted trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.outcome import Setting

MOST_CLASSES, MOST_FEATURES = 100, 2000
"""A tree is grown a class and round, over every feature."""
LEAVES = (7, 31)
"""Leaves of a tree that are tried."""
MOST_CELLS = 200_000_000
"""Rows times features times classes; of more, the trees are fitted on some of the rows, which takes minutes too."""


@LABELS.register
class FeatureTrees(Baseline[LabelData]):
    """Histogram gradient boosting on the features that the model reads."""

    name, reads = "features, boosted trees", "features"

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        width = data.feature_width
        if not width:
            return "the model reads no features of the rows"
        if width > MOST_FEATURES:
            return f"{width:,} numbers a row are more than {MOST_FEATURES:,}"
        if data.kind.classes > MOST_CLASSES:
            return f"{data.kind.classes:,} classes are more than {MOST_CLASSES}"
        return data.kind.unfit()

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        rows = data.features
        sample, note = _sample(data)
        train = rows[data.part["train"]][sample]
        for leaves in LEAVES:
            options: dict[str, Any] = {"max_leaf_nodes": leaves, "random_state": 0, "early_stopping": False}
            yield data.setting(f"{leaves} leaves{note}", rows, data.kind.boosted(train, sample, options))


def _sample(data: LabelData) -> tuple[slice, str]:
    """Every so many training rows, and how it is told."""
    count = len(data.kind.train)
    step = -(-count * data.feature_width * data.kind.trees // MOST_CELLS)
    sample = slice(None, None, step)
    return sample, "" if step == 1 else f", of {len(range(0, count, step)):,} of {count:,} rows"
