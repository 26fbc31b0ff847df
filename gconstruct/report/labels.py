"""Labels: classes or numbers by split, of all rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from gconstruct.report.model import LabelProfile
from gconstruct.report.numbers import Moments, histogram
from gconstruct.report.rows import Pieces
from graphstorm_like.graph.schema import SPLITS, LabelSchema

_BLOCK = 1 << 18
_HISTOGRAM_ROWS = 1 << 18


def label_profile(values: Pieces, splits: Pieces, schema: LabelSchema) -> LabelProfile:
    """Of one label."""
    if schema.kind == "class":
        return _classes(values, splits, schema)
    if schema.kind == "number":
        return _numbers(values, splits, schema)
    counts = {name: schema.counts.get(name, 0) for name in SPLITS}  # a kind that is not known here
    labelled = sum(counts.values())
    return LabelProfile(kind=schema.kind, rows=len(values), labelled=labelled, splits=counts, classes=schema.classes)


def _classes(values: Pieces, splits: Pieces, schema: LabelSchema) -> LabelProfile:
    width = len(schema.classes)
    counts = np.zeros(len(SPLITS) * width, np.int64)
    rows = [(0, len(values))]
    for label, split in zip(values.slices(rows, _BLOCK), splits.slices(rows, _BLOCK), strict=True):
        labels, of_split = label.to_numpy(zero_copy_only=False), split.to_numpy(zero_copy_only=False)
        has = labels >= 0
        cell = of_split[has].astype(np.int64) * width + labels[has]
        counts += np.bincount(cell, minlength=len(counts))
    table = counts.reshape(len(SPLITS), width)
    return LabelProfile(
        kind=schema.kind,
        rows=len(values),
        labelled=int(table.sum()),
        splits=dict(zip(SPLITS, table.sum(axis=1).tolist(), strict=True)),
        classes=schema.classes,
        class_counts=dict(zip(SPLITS, table.tolist(), strict=True)),
    )


def _numbers(values: Pieces, splits: Pieces, schema: LabelSchema) -> LabelProfile:
    moments, counts = {name: Moments(1) for name in SPLITS}, dict.fromkeys(SPLITS, 0)
    rows, sample = [(0, len(values))], []
    for label, split in zip(values.slices(rows, _BLOCK), splits.slices(rows, _BLOCK), strict=True):
        labels = _floats(label)
        has, of_split = ~np.isnan(labels), split.to_numpy(zero_copy_only=False)
        for number, name in enumerate(SPLITS):
            chosen = labels[has & (of_split == number)]
            counts[name] += len(chosen)
            if len(chosen):
                moments[name].add(chosen[None])
        sample.append(labels[has][:: max(1, len(values) // _HISTOGRAM_ROWS)])
    finite = np.concatenate(sample) if sample else np.empty(0)
    return LabelProfile(
        kind=schema.kind,
        rows=len(values),
        labelled=sum(counts.values()),
        splits=counts,
        numbers={name: moments[name].together() for name in SPLITS if counts[name]},
        histogram=histogram(finite[np.isfinite(finite)]),
    )


def _floats(piece: pa.Array) -> np.ndarray:
    numbers: np.ndarray = piece.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers
