"""What classifiers get right and wrong: confusions, scores of each class, calibration. Plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphstorm_like.reports.intervals import wilson
from graphstorm_like.reports.model import Calibration, CalibrationBin, ClassScore, ConfusedPair, Confusion

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SHOWN_CLASSES, LISTED_PAIRS, BINS = 12, 30, 10
OTHERS = "all others"


@dataclass(frozen=True, slots=True)
class Counts:
    """By class: rows that have it, rows that are predicted to, and rows where both agree."""

    support: Ints
    predicted: Ints
    right: Ints


def count_classes(true: Ints, predicted: Ints, classes: int) -> Counts:
    """true, predicted: positions [n] of classes."""
    return Counts(
        np.bincount(true, minlength=classes),
        np.bincount(predicted, minlength=classes),
        np.bincount(true[true == predicted], minlength=classes),
    )


def class_scores(counts: Counts, names: Sequence[str]) -> list[ClassScore]:
    """Return the scores of the classes that occur in labels or predictions, the most frequent first; null where there
    is no row to divide by."""
    scores = []
    for i in np.argsort(-counts.support, kind="stable").tolist():
        support, predicted, right = int(counts.support[i]), int(counts.predicted[i]), int(counts.right[i])
        if not support and not predicted:
            continue
        scores.append(
            ClassScore(
                name=names[i],
                support=support,
                predicted=predicted,
                precision=right / predicted if predicted else None,
                recall=right / support if support else None,
                f1=2 * right / (support + predicted),
                precision_interval=wilson(right, predicted),
                recall_interval=wilson(right, support),
            )
        )
    return scores


def confusion(true: Ints, predicted: Ints, names: Sequence[str]) -> Confusion:
    """Counts of (true, predicted) for the most frequent classes, the rest of them together in a last row and column,
    and the pairs that are confused most often."""
    support = np.bincount(true, minlength=len(names))
    occurring = np.bincount(predicted, minlength=len(names)) + support
    order = np.lexsort((-occurring, -support))
    order = order[occurring[order] > 0]
    shown = order if len(order) <= SHOWN_CLASSES + 1 else order[:SHOWN_CLASSES]
    place = np.full(len(names), len(shown))
    place[shown] = np.arange(len(shown))
    size = len(shown) + (len(shown) < len(order))
    matrix = np.zeros((size, size), dtype=np.int64)
    np.add.at(matrix, (place[true], place[predicted]), 1)
    labels = [names[i] for i in shown.tolist()] + [OTHERS] * (size - len(shown))
    return Confusion(classes=labels, counts=matrix.tolist(), pairs=_pairs(true, predicted, names))


def _pairs(true: Ints, predicted: Ints, names: Sequence[str]) -> list[ConfusedPair]:
    wrong = true != predicted
    keys, counts = np.unique(true[wrong] * len(names) + predicted[wrong], return_counts=True)
    pairs = []
    for at in np.argsort(-counts, kind="stable")[:LISTED_PAIRS].tolist():
        is_, said = divmod(int(keys[at]), len(names))
        pairs.append(ConfusedPair(true=names[is_], predicted=names[said], rows=int(counts[at])))
    return pairs


def calibration(confidence: Floats, right: npt.NDArray[np.bool_]) -> Calibration:
    """Bins of equal width of the probability of the predicted class, and the expected calibration error: the mean over
    rows of |share that is right - mean probability| of their bin (Guo et al., ICML 2017)."""
    at = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows = np.bincount(at, minlength=BINS)
    confident = np.bincount(at, weights=confidence, minlength=BINS)
    correct = np.bincount(at, weights=right.astype(np.float64), minlength=BINS)
    bins = []
    for i in range(BINS):
        count = int(rows[i])
        bins.append(
            CalibrationBin(
                low=i / BINS,
                high=(i + 1) / BINS,
                rows=count,
                confidence=float(confident[i]) / count if count else None,
                right=float(correct[i]) / count if count else None,
            )
        )
    error = float(np.abs(correct - confident).sum() / len(confidence))
    return Calibration(ece=error, mean_confidence=float(confidence.mean()), right=float(right.mean()), bins=bins)
