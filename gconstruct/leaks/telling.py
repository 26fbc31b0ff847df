"""Inputs that tell a label alone: from one feature's value, fitted on training rows, the label of nearly every
validation row follows.

Classes: the most frequent training class of a value (of one number: also of its interval among _BINS) is right.
Numbers: the mean rank of the label in a value or interval explains the rank. Values that training rows lack tell
nothing, so that ids and free text do not count. A finding needs _SHARE of the rows, a lower 95 % bound (Wilson) of
_BOUND, which takes 73 rows or more, and a most frequent class of at most _MOST.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.leaks.base import TRAIN, Leak
from gconstruct.leaks.folder import LeakFolder
from gconstruct.leaks.rowhash import row_hashes
from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.schema import SPLITS, LabelSchema, feature_column, label_column, label_split_column

TELLING_INPUT = "telling_input"
_VALID = SPLITS.index("valid")
_SHARE, _BOUND, _MOST = 0.98, 0.95, 0.9
_BINS = 1_000
_ROWS, _CELLS, _FEWEST = 400_000, 8_000_000, 20_000
"""Rows of a table that are looked at, at most; rows times features, unless that leaves fewer rows than the last"""


def telling_inputs(graph: LeakFolder) -> Iterator[Leak]:
    """All findings about the labels of nodes and edges."""
    for name, node in graph.manifest.nodes.items():
        for label, schema in node.labels.items():
            yield from _of_label(graph, f"nodes {name}", graph.node_files(name), label, schema, list(node.features))
    for edge in graph.manifest.edges:
        for label, schema in edge.labels.items() if not edge.is_reverse else ():
            files = graph.edge_files(edge.edge_type)
            where = f"edges {edge_name(edge.edge_type)}"
            yield from _of_label(graph, where, files, label, schema, list(edge.features))


def _of_label(
    graph: LeakFolder, table: str, files: list[pa.RecordBatch], label: str, schema: LabelSchema, features: list[str]
) -> Iterator[Leak]:
    if schema.kind == "classes" or not features:
        return
    split, labels = _read(graph, files, [label_split_column(label), label_column(label)])
    if split is None or labels is None:
        return
    split = split.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((split == TRAIN) | (split == _VALID))
    every = max(1, -(-len(rows) // min(_ROWS, max(_FEWEST, _CELLS // len(features)))))
    rows = rows[::every]
    split = split[rows]
    numbers_of = pc.fill_null(pc.cast(labels.take(pa.array(rows)), pa.float64()), np.nan)
    known = numbers_of.to_numpy(zero_copy_only=False)
    trained, asked = split == TRAIN, split == _VALID
    if not trained.any() or not asked.any() or not _varies(known[asked], schema.kind):
        return
    for feature in features:
        hashes, numbers = _values(graph, files, feature_column(feature), rows)
        share = _best_share(known, hashes, numbers, trained, asked, schema.kind)
        count = int(asked.sum())
        if share >= _SHARE and _lower_bound(share, count) >= _BOUND:
            yield Leak(
                rule=TELLING_INPUT,
                where=f"{table}, label {label}",
                count=round(share * count),
                looked_at=count,
                total=count * every,
                what=f"validation labels follow from the input {feature!r} alone, by a table of its values in training",
                fix=f"Is {feature} known before {label} is? If not, remove it from the features; if it is, no network "
                "is needed, and graph.on_leak: ignore says so",
            )  # fmt: skip


def _read(graph: LeakFolder, files: list[pa.RecordBatch], columns: list[str]) -> list[pa.Array | None]:
    """Return columns of a table whole; None each where it has no rows."""
    blocks = [block for file in files for block in graph.blocks(file.select(columns))]
    if not blocks:
        return [None] * len(columns)
    return [pa.concat_arrays([block.column(name) for block in blocks]) for name in columns]


def _values(
    graph: LeakFolder, files: list[pa.RecordBatch], column: str, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (hash of the value, the value where it is one number, else NaN) of ascending `rows` of a table."""
    hashes, numbers, first = [], [], 0
    for block in (block for file in files for block in graph.blocks(file.select([column]))):
        start, stop = np.searchsorted(rows, [first, first + block.num_rows])
        values = block.column(0).take(pa.array(rows[start:stop] - first))
        first += block.num_rows
        number = np.full(len(values), np.nan)
        if pa.types.is_fixed_size_list(values.type) and values.type.list_size == 1:
            number = values.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        elif pa.types.is_floating(values.type):
            number = values.to_numpy(zero_copy_only=False).astype(np.float64)
        hashes.append(row_hashes([values], len(values)))
        numbers.append(number)
    return np.concatenate(hashes), np.concatenate(numbers)


def _varies(labels: np.ndarray, kind: str) -> bool:
    if kind == "number":
        return bool(np.ptp(labels) > 0)
    return bool(np.unique(labels, return_counts=True)[1].max() <= _MOST * len(labels))


def _best_share(
    labels: np.ndarray, hashes: np.ndarray, numbers: np.ndarray, trained: np.ndarray, asked: np.ndarray, kind: str
) -> float:
    """Share of validation labels that are told right, or of their ranks' variance that is explained."""
    groupings = [np.unique(hashes, return_inverse=True)[1]]
    if np.isfinite(numbers).all():
        bins = min(_BINS, max(2, int(trained.sum()) // 5))
        groupings.append(np.searchsorted(np.quantile(numbers[trained], np.linspace(0, 1, bins + 1)[1:-1]), numbers))
    explained = _explained if kind == "number" else _told_right
    return max(explained(labels, group, trained, asked) for group in groupings)


def _told_right(labels: np.ndarray, group: np.ndarray, trained: np.ndarray, asked: np.ndarray) -> float:
    classes, codes = np.unique(labels, return_inverse=True)
    pairs, counts = np.unique(group[trained] * len(classes) + codes[trained], return_counts=True)
    order = np.argsort(counts, kind="stable")
    best = np.full(group.max() + 1, -1)
    best[pairs[order] // len(classes)] = pairs[order] % len(classes)  # the most frequent is written last
    return float((best[group[asked]] == codes[asked]).mean())


def _explained(labels: np.ndarray, group: np.ndarray, trained: np.ndarray, asked: np.ndarray) -> float:
    ranks = np.unique(labels, return_inverse=True)[1].astype(np.float64)
    sums, counts = (np.bincount(group[trained], w, group.max() + 1) for w in (ranks[trained], None))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), ranks[trained].mean())
    errors = ranks[asked] - means[group[asked]]
    return float(1 - (errors**2).sum() / max(((ranks[asked] - ranks[asked].mean()) ** 2).sum(), 1e-12))


def _lower_bound(share: float, count: int, z: float = 1.96) -> float:
    """Wilson's, of a share of `count` rows."""
    middle = share + z * z / (2 * count)
    spread = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return float((middle - spread) / (1 + z * z / count))
