"""The words of a run's report."""

from __future__ import annotations

import math
from typing import Any

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
