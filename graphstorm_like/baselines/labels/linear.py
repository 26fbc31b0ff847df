"""Linear models, for whatever inputs: what several simple models fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphstorm_like.baselines.labels.base import LabelData, Numbers
from graphstorm_like.baselines.outcome import Setting

PENALTIES = (0.1, 0.3, 1.0, 3.0)
"""Inverse strengths of regularisation (C) that a classifier is tried with."""
RIDGES = (0.1, 1.0, 10.0, 100.0)
"""Strengths (alpha) for numbers."""


def linear_settings(data: LabelData, rows: Any) -> Iterator[Setting]:
    """Linear support vector machines of classes, ridge regression of numbers. rows [labelled rows, F], sparse or
    dense."""
    from sklearn.linear_model import Ridge
    from sklearn.svm import LinearSVC

    train = rows[data.part["train"]]
    if not data.classes:
        for alpha in RIDGES:
            ridge = Ridge(alpha=alpha).fit(train, data.train_labels)
            yield data.settings(f"alpha {alpha:g}", rows, ridge.predict)
        return
    for penalty in PENALTIES:
        machine = LinearSVC(C=penalty, random_state=0).fit(train, data.train_labels)
        yield data.settings(f"C {penalty:g}", rows, _Softmax(machine, data.classes))


class _Softmax:
    """Softmax of the distances from the planes. Classes without a training row get nothing."""

    def __init__(self, machine: Any, classes: int) -> None:
        self._machine, self._classes = machine, classes

    def __call__(self, rows: Any) -> Numbers:
        distances = self._machine.decision_function(rows)
        if distances.ndim == 1:
            distances = np.stack([-distances, distances], axis=1)
        shares = np.exp(distances - distances.max(axis=1, keepdims=True))
        return spread(shares / shares.sum(axis=1, keepdims=True), self._machine.classes_, self._classes)


def spread(probabilities: Numbers, known: Numbers, classes: int) -> Numbers:
    """Columns of the classes that training has seen -> columns of all classes [n, C]."""
    all_classes = np.zeros((len(probabilities), classes))
    all_classes[:, known] = probabilities
    return all_classes


def class_shares(model: Any, classes: int, rows: Numbers) -> Numbers:
    """Probabilities [n, C] of all classes, from a classifier of scikit-learn."""
    return spread(model.predict_proba(rows), model.classes_, classes)


def few_classes(data: LabelData) -> str | None:
    """Why a model that tells classes apart cannot be fitted; None: it can."""
    if data.classes and len(np.unique(data.train_labels)) < 2:
        return "the training rows have one class"
    return None
