"""What every kind of label offers to simple models, whatever these read: votes, constants, linear models, trees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphstorm_like.registry import Registry
from graphstorm_like.tasks.targets import LabelTarget

Numbers = npt.NDArray[Any]
Predict = Callable[[Any], Numbers]
"""Rows of inputs [n, F] -> what the task's target predicts: shares of classes [n, C], or numbers [n]"""

PENALTIES: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
"""Inverse strengths of regularisation (C) that support vector machines are tried with."""
WEAK_PENALTIES: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
"""Those of logistic regression."""
RIDGES: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
"""Strengths (alpha) for numbers."""
SMOOTHING = 1e-3
"""Votes that every row gets by the shares of the classes."""

KINDS: Registry[Callable[[LabelTarget, Numbers], Kind]] = Registry(
    "kind of label of simple models", "graphstorm_like.baselines.labels.kinds"
)
"""Called with the task's target and the training labels."""


class Fitted(NamedTuple):
    """A setting and the model that was fitted with it."""

    setting: str
    predict: Predict


class Kind(ABC):
    """Of a task's label, with its training labels. Rows of inputs to fit on are those of all training labels, in their
    order."""

    def __init__(self, target: LabelTarget, train: Numbers) -> None:
        self.classes = len(target.classes)
        """0: the label is a number."""
        self.train = train

    @property
    @abstractmethod
    def trees(self) -> int:
        """Trees that boosting grows a round."""

    @abstractmethod
    def unfit(self) -> str | None:
        """Why no model can be fitted, for lack of labels that differ; None: it can."""

    @property
    @abstractmethod
    def votes(self) -> npt.NDArray[np.float32]:
        """What training rows vote with [n_train, V]."""

    @abstractmethod
    def from_votes(self, votes: npt.NDArray[np.float32]) -> Numbers:
        """Predictions from sums of rows of `votes` or of parts of them [n, V + 1], whose last column is their weight.
        Rows without a vote get what `constants` begins with."""

    @abstractmethod
    def constants(self) -> Iterator[tuple[str, Numbers]]:
        """One prediction for all rows: (name, prediction [] or [C])."""

    @abstractmethod
    def machines(self, rows: Any) -> Iterator[Fitted]:
        """Linear support vector machines of classes, ridge regression of numbers, for sparse inputs [n_train, F]."""

    @abstractmethod
    def regressions(self, rows: Any) -> Iterator[Fitted]:
        """Logistic regression of classes, ridge regression of numbers, for standardised inputs [n_train, F]."""

    @abstractmethod
    def boosted(self, rows: Numbers, sample: slice, options: dict[str, Any]) -> Predict:
        """Gradient boosting on some of the training rows. rows: their inputs; sample: which they are."""
