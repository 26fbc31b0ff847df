"""Features alone: boosted trees."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData
from graphstorm_like.baselines.labels.linear import class_shares, few_classes
from graphstorm_like.baselines.outcome import Setting

MOST_CLASSES, MOST_FEATURES = 100, 2000
"""A tree is grown a class and round, over every feature."""
LEAVES = (7, 31)
"""Leaves of a tree that are tried."""
MOST_CELLS = 200_000_000
"""Rows times features times classes; of more, the trees are fitted on some of the rows, which takes minutes too."""


class FeatureTrees(LabelBaseline):
    """Histogram gradient boosting on the features that the model reads."""

    name = "features, boosted trees"

    def unfit(self, data: LabelData) -> str | None:
        """See LabelBaseline."""
        width = data.feature_width
        if not width:
            return "the model reads no features of the rows"
        if width > MOST_FEATURES:
            return f"{width:,} numbers a row are more than {MOST_FEATURES:,}"
        if data.classes > MOST_CLASSES:
            return f"{data.classes:,} classes are more than {MOST_CLASSES}"
        return few_classes(data)

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See LabelBaseline."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        rows = data.features
        sample, note = _sample(data)
        train, labels = rows[data.part["train"]][sample], data.train_labels[sample]
        for leaves in LEAVES:
            options: dict[str, Any] = {"max_leaf_nodes": leaves, "random_state": 0, "early_stopping": False}
            name = f"{leaves} leaves{note}"
            if not data.classes:
                regressor = HistGradientBoostingRegressor(**options).fit(train, labels)
                yield data.settings(name, rows, regressor.predict)
                continue
            trees = HistGradientBoostingClassifier(**options).fit(train, labels)
            yield data.settings(
                name,
                rows,
                partial(class_shares, trees, data.classes),
            )


def _sample(data: LabelData) -> tuple[slice, str]:
    """Every so many training rows, and how it is told."""
    count, trees = len(data.train_labels), data.classes if data.classes > 2 else 1
    step = -(-count * data.feature_width * trees // MOST_CELLS)
    sample = slice(None, None, step)
    return sample, "" if step == 1 else f", of {len(range(0, count, step)):,} of {count:,} rows"
