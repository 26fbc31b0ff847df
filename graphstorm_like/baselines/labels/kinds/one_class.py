"""One class a row."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.baselines.labels.kinds.base import (
    KINDS,
    PENALTIES,
    SMOOTHING,
    WEAK_PENALTIES,
    Fitted,
    Kind,
    Numbers,
    Predict,
)
from graphstorm_like.tasks.targets import ClassTarget


@KINDS.register(ClassTarget)
class OneClass(Kind):
    """Shares of the classes, which sum up to 1."""

    @property
    def trees(self) -> int:
        """See Kind."""
        return self.classes if self.classes > 2 else 1

    def unfit(self) -> str | None:
        """See Kind."""
        return "the training rows have one class" if len(np.unique(self.train)) < 2 else None

    @cached_property
    def prior(self) -> npt.NDArray[np.float64]:
        """Shares of the classes among the training rows [C]."""
        return np.bincount(self.train, minlength=self.classes) / len(self.train)

    @property
    def votes(self) -> npt.NDArray[np.float32]:
        """See Kind: the class."""
        return np.eye(self.classes, dtype=np.float32)[self.train]

    def from_votes(self, votes: npt.NDArray[np.float32]) -> Numbers:
        """See Kind."""
        smooth = votes[:, :-1] + SMOOTHING * self.prior
        shares: Numbers = smooth / smooth.sum(axis=1, keepdims=True).clip(1e-12)
        return shares

    def constants(self) -> Iterator[tuple[str, Numbers]]:
        """See Kind: the shares, of which the largest is the prediction."""
        yield "most frequent class", self.prior

    def machines(self, rows: Any) -> Iterator[Fitted]:
        """See Kind: a class against the rest, then softmax."""
        from sklearn.svm import LinearSVC

        for penalty in PENALTIES:
            machine = LinearSVC(C=penalty, random_state=0).fit(rows, self.train)
            yield Fitted(f"C {penalty:g}", partial(self._softmax, machine))

    def regressions(self, rows: Any) -> Iterator[Fitted]:
        """See Kind: multinomial."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=300, warm_start=True)  # from the weights of the stronger penalty
        for penalty in WEAK_PENALTIES:
            model.set_params(C=penalty).fit(rows, self.train)
            yield Fitted(f"C {penalty:g}", partial(self._shares, copy.deepcopy(model)))

    def boosted(self, rows: Numbers, sample: slice, options: dict[str, Any]) -> Predict:
        """See Kind."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        return partial(self._shares, HistGradientBoostingClassifier(**options).fit(rows, self.train[sample]))

    def _shares(self, model: Any, rows: Numbers) -> Numbers:
        return self._of_all(model.predict_proba(rows), model.classes_)

    def _softmax(self, machine: Any, rows: Any) -> Numbers:
        """Of the distances from the planes."""
        distances = machine.decision_function(rows)
        if distances.ndim == 1:  # of two classes scikit-learn gives the second one's
            distances = np.stack([-distances, distances], axis=1)
        odds = np.exp(distances - distances.max(axis=1, keepdims=True))
        return self._of_all(odds / odds.sum(axis=1, keepdims=True), machine.classes_)

    def _of_all(self, shares: Numbers, known: Numbers) -> Numbers:
        """Columns of the classes that training has seen -> columns of all classes [n, C]."""
        of_all = np.zeros((len(shares), self.classes))
        of_all[:, known] = shares
        return of_all
