"""Labels: classes or numbers by split, of all rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from gconstruct.report.model import LabelProfile
from gconstruct.report.numbers import Moments, histogram
from gconstruct.report.rows import Pieces, view
from graphstorm_like.graph.schema import NO_CLASSES, SPLITS, LabelSchema

_BLOCK = 1 << 18
_HISTOGRAM_ROWS = 1 << 18


def label_profile(values: Pieces, splits: Pieces, schema: LabelSchema) -> LabelProfile:
    """Of one label."""
    if schema.kind == "number":
        return _numbers(values, splits, schema)
    return _classes(values, splits, schema)


def _classes(values: Pieces, splits: Pieces, schema: LabelSchema) -> LabelProfile:
    """Labels of one class a row, or of several."""
    width = len(schema.classes)
    table, by_split = np.zeros((len(SPLITS), width), np.int64), np.zeros(len(SPLITS), np.int64)
    kind, rows = values.pieces[0].type, [(0, len(values))]
    block = max(1, _BLOCK // kind.list_size) if pa.types.is_fixed_size_list(kind) else _BLOCK
    for label, split in zip(values.slices(rows, block), splits.slices(rows, block), strict=True):
        of_split = split.to_numpy(zero_copy_only=False).astype(np.int64)
        if pa.types.is_fixed_size_list(kind):
            several = view(label, kind.list_size)
            has = several[:, 0] != NO_CLASSES
            for number in range(len(SPLITS)):
                chosen = several[has & (of_split == number), :width]
                table[number] += chosen.sum(axis=0, dtype=np.int64)
        else:
            labels = label.to_numpy(zero_copy_only=False)
            has = labels >= 0
            cell = of_split[has] * width + labels[has]
            table += np.bincount(cell, minlength=table.size).reshape(table.shape)
        by_split += np.bincount(of_split[has], minlength=len(SPLITS))
    return LabelProfile(
        kind=schema.kind,
        rows=len(values),
        labelled=int(by_split.sum()),
        splits=dict(zip(SPLITS, by_split.tolist(), strict=True)),
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
