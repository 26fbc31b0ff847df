"""A number a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.baselines.labels.kinds.base import KINDS, RIDGES, Fitted, Kind, Numbers, Predict
from graphstorm_like.tasks.targets import NumberTarget


@KINDS.register(NumberTarget)
class Number(Kind):
    """In the label's own units."""

    @property
    def trees(self) -> int:
        """See Kind."""
        return 1

    def unfit(self) -> str | None:
        """See Kind: equal numbers are a fit too."""
        return None

    @property
    def votes(self) -> npt.NDArray[np.float32]:
        """See Kind: the distance from the mean [n_train, 1]."""
        distances: npt.NDArray[np.float32] = (self.train - self.train.mean()).astype(np.float32)
        return distances[:, None]

    def from_votes(self, votes: npt.NDArray[np.float32]) -> Numbers:
        """See Kind."""
        numbers: Numbers = self.train.mean() + votes[:, 0] / np.maximum(votes[:, 1], 1e-12)
        return numbers

    def constants(self) -> Iterator[tuple[str, Numbers]]:
        """See Kind."""
        yield "mean", np.asarray(self.train.mean())
        yield "median", np.asarray(np.median(self.train))

    def machines(self, rows: Any) -> Iterator[Fitted]:
        """See Kind."""
        return self.regressions(rows)

    def regressions(self, rows: Any) -> Iterator[Fitted]:
        """See Kind."""
        from sklearn.linear_model import Ridge

        for alpha in RIDGES:
            yield Fitted(f"alpha {alpha:g}", Ridge(alpha=alpha).fit(rows, self.train).predict)

    def boosted(self, rows: Numbers, sample: slice, options: dict[str, Any]) -> Predict:
        """See Kind."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        predict: Predict = HistGradientBoostingRegressor(**options).fit(rows, self.train[sample]).predict
        return predict
