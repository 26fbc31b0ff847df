"""Any number of classes a row: a model of yes and no for each class (one against the rest, binary relevance)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
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
from graphstorm_like.tasks.targets import ClassesTarget


@KINDS.register(ClassesTarget)
class SeveralClasses(Kind):
    """A share of each class, whatever the others have."""

    @property
    def trees(self) -> int:
        """See Kind: as many as for one of so many classes."""
        return self.classes

    def unfit(self) -> str | None:
        """See Kind."""
        return None if len(self._told_apart(self.train)) else "no class is that of some training rows and not of others"

    @cached_property
    def prior(self) -> npt.NDArray[np.float64]:
        """The share of the training rows that have each class [C]."""
        shares: npt.NDArray[np.float64] = self.train.mean(axis=0, dtype=np.float64)
        return shares

    @property
    def votes(self) -> npt.NDArray[np.float32]:
        """See Kind: 1 for each class of a row."""
        return self.train.astype(np.float32)

    def from_votes(self, votes: npt.NDArray[np.float32]) -> Numbers:
        """See Kind."""
        shares: Numbers = (votes[:, :-1] + SMOOTHING * self.prior) / (votes[:, -1:] + SMOOTHING)
        return shares

    def constants(self) -> Iterator[tuple[str, Numbers]]:
        """See Kind."""
        yield "share of each class", self.prior

    def machines(self, rows: Any) -> Iterator[Fitted]:
        """See Kind: the plane is at a share of one half."""
        from sklearn.svm import LinearSVC

        for penalty in PENALTIES:
            models = self._each(rows, slice(None), lambda: LinearSVC(C=penalty, random_state=0))  # noqa: B023
            yield Fitted(f"C {penalty:g}", partial(self._shares, models, _side))

    def regressions(self, rows: Any) -> Iterator[Fitted]:
        """See Kind."""
        from sklearn.linear_model import LogisticRegression

        kept = {place: LogisticRegression(max_iter=300, warm_start=True) for place in self._told_apart(self.train)}
        for penalty in WEAK_PENALTIES:
            for place, model in kept.items():
                model.set_params(C=penalty).fit(rows, self.train[:, place])
            yield Fitted(f"C {penalty:g}", partial(self._shares, copy.deepcopy(kept), _probability))

    def boosted(self, rows: Numbers, sample: slice, options: dict[str, Any]) -> Predict:
        """See Kind."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        models = self._each(rows, sample, lambda: HistGradientBoostingClassifier(**options))
        return partial(self._shares, models, _probability)

    def _told_apart(self, train: Numbers) -> list[int]:
        """Classes that some rows have and others have not: there is something to learn of no other."""
        having = train.sum(axis=0, dtype=np.int64)
        places: list[int] = np.flatnonzero((having > 0) & (having < len(train))).tolist()
        return places

    def _each(self, rows: Any, sample: slice, make: Callable[[], Any]) -> dict[int, Any]:
        """A fitted model of each class that is told apart."""
        train = self.train[sample]
        return {place: make().fit(rows, train[:, place]) for place in self._told_apart(train)}

    def _shares(self, models: Mapping[int, Any], read: Callable[[Any, Any], Numbers], rows: Any) -> Numbers:
        """[n, C]. Classes without a model have the share of the training rows."""
        shares = np.tile(self.prior, (rows.shape[0], 1))
        for place, model in models.items():
            shares[:, place] = read(model, rows)
        return shares


def _side(machine: Any, rows: Any) -> Numbers:
    from scipy.special import expit

    sides: Numbers = expit(machine.decision_function(rows))
    return sides


def _probability(model: Any, rows: Any) -> Numbers:
    of_class: Numbers = model.predict_proba(rows)[:, 1]
    return of_class
