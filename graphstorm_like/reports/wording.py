"""The words of a run's report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Point = tuple[float, float]
FAR_BELOW, SMALL_LOSS = 5.0, 0.1
"""Validation loss over training loss, and the training loss, from which on rows are known by heart"""
LEAST_EPOCHS, FALLEN = 6, 0.9
"""Validations that say something; last training loss over that of the best epoch, when it has gone on falling"""
ADVICE = "Stop earlier (train.early_stop), or raise model.gnn.dropout (docs/guide/training.md, When a model overfits)."

_SPLITS = {"valid": "validation"}


def metric(value: float | None) -> str:
    """A score: '0.692', '12.35', '1.2e+06'; '-' of none."""
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) < 1e-3 and value:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.2f}" if abs(value) < 1e5 else f"{value:.4g}"


def split_title(split: str) -> str:
    """'test', 'validation'"""
    return _SPLITS.get(split, split)


def task_title(task: dict[str, Any]) -> str:
    """'node classification of product.category'"""
    kind = str(task.get("type", "")).replace("_", " ")
    of = task.get("node_type") or task.get("edge_type")
    if isinstance(of, list | tuple):
        of = ":".join(map(str, of))
    label = f".{task['label']}" if task.get("label") else ""
    return f"{kind} of {of}{label}" if of else kind


def overfitting(loss: Sequence[Point], valid: Sequence[Point], higher: bool, valid_loss: float | None) -> str:
    """Return a sentence where a model learns its training rows by heart, with what to do; else an empty string.

    loss, valid: (epoch, training loss) and (epoch, score that selects the model). higher: whether a higher score is
    better. valid_loss: the same loss over validation rows, of the chosen model; None: not known.
    """
    known = [(epoch, value) for epoch, value in loss if math.isfinite(value)]
    if not known:
        return ""
    end = known[-1][1]
    if valid_loss is not None and 0 <= end < SMALL_LOSS and valid_loss > max(FAR_BELOW * end, SMALL_LOSS):
        return (
            f"The training loss has fallen to {metric(end)}, while that of validation rows is {metric(valid_loss)}: "
            f"the model knows its training rows by heart. {ADVICE}"
        )
    scores = [(epoch, value) for epoch, value in valid if math.isfinite(value)]
    if len(scores) < LEAST_EPOCHS:
        return ""
    sign = 1.0 if higher else -1.0
    best_epoch, best = max(scores, key=lambda point: sign * point[1])
    last_epoch, last = scores[-1]
    at_best = next((value for epoch, value in known if epoch >= best_epoch), end)
    is_worse = sign * (best - last) > 0.01 * abs(best)
    if last_epoch - best_epoch >= last_epoch / 3 and is_worse and end < FALLEN * at_best:
        return (
            f"Validation has become worse since epoch {best_epoch:.0f} of {last_epoch:.0f}, from {metric(best)} to "
            f"{metric(last)}, while the training loss fell to {metric(end)}. {ADVICE}"
        )
    return ""
