"""Labels and splits of a table.

In: a Table of n rows. Out: labels int32 (n, positions in the sorted classes, -1 for null) or float32 (n, NaN for
null), and splits uint8 (n, positions in SPLITS). Drawn splits hash the id, so the order of rows, files and
chunks does not matter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.hashing import uniform
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.splits import WRITTEN, draw_splits, split_counts
from gconstruct.tables.table import Table
from gconstruct.values import all_integers, as_numbers
from graphstorm_like.config.graph import LabelConfig, SplitConfig
from graphstorm_like.graph.schema import NO_LABEL, SPLITS, LabelSchema

HashedIds = Callable[[], pa.Array]
"""Gives the strings that drawn splits hash, one per row; called only when needed."""


def encode_label(
    table: Table, name: str, config: LabelConfig, hashed_ids: HashedIds, problems: Problems
) -> tuple[np.ndarray, np.ndarray, LabelSchema, int] | None:
    """(labels, splits, schema, rows with a split but no label), or None (then `problems` says why)."""
    key = f"{table.key}.labels.{name}"
    encoded = _classes(table, config) if config.kind == "class" else _numbers(table, config, key, problems)
    splits = encode_split(table, config.split, f"{key}.split", hashed_ids, problems)
    if encoded is None or splits is None:
        return None
    labels, classes = encoded
    labelled = labels != NO_LABEL if config.kind == "class" else ~np.isnan(labels)
    if len(table) and not labelled.any():
        problems.add(rules.no_labels(table, key, config.column, len(table)))
        return None
    # Only splits of a column count as lost: a draw gives every row a split.
    lost = int(np.count_nonzero(~labelled & (splits > 0))) if config.split.column is not None else 0
    splits[~labelled] = 0
    schema = LabelSchema(kind=config.kind, classes=classes, counts=split_counts(splits[labelled]))
    return labels, splits, schema, lost


def _classes(table: Table, config: LabelConfig) -> tuple[np.ndarray, list[str]]:
    column = table.column(config.column)
    if pa.types.is_null(column.type):
        column = pc.cast(column, pa.large_string())
    if table.untyped(config.column) and all_integers(column):
        column = pc.cast(column, pa.int64())
    values = pc.unique(column).drop_null()
    values = values.take(pc.sort_indices(values))
    labels = pc.fill_null(pc.index_in(column, value_set=values), NO_LABEL)
    classes = pc.cast(values, pa.large_string()).to_pylist()
    return labels.to_numpy(zero_copy_only=False).astype(np.int32), classes


def _numbers(table: Table, config: LabelConfig, key: str, problems: Problems) -> tuple[np.ndarray, list[str]] | None:
    numbers = as_numbers(table.source(config.column, key, problems))
    if numbers is None:
        return None
    values = numbers.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        labels = values.astype(np.float32)
    infinite = np.flatnonzero(np.isinf(values))
    large = infinite if infinite.size else np.flatnonzero(np.isinf(labels))
    if large.size:
        examples = values[large[:EXAMPLES]].tolist()
        rule = rules.infinite_labels if infinite.size else rules.large_labels
        problems.add(rule(table, key, config.column, large, examples))
        return None
    return labels, []


def encode_split(
    table: Table, config: SplitConfig, key: str, hashed_ids: HashedIds, problems: Problems
) -> np.ndarray | None:
    """uint8 (n): the split of each row, or None (then `problems` says why)."""
    if config.column is not None:
        return _written_split(table, config.column, key, problems)
    ids = hashed_ids()
    if config.group_by is not None:
        # Each row without a group is a group of its own: otherwise all of them would get the same split.
        groups, ids = (pc.cast(column, pa.large_string()) for column in (table.column(config.group_by), ids))
        ids = pc.coalesce(groups, ids)
    return draw_splits(uniform(ids, config.seed), config)


def _written_split(table: Table, name: str, key: str, problems: Problems) -> np.ndarray | None:
    column = pc.cast(table.column(name), pa.large_string())
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    position = pc.index_in(words, value_set=pa.array(list(WRITTEN), pa.large_string()))
    wrong = np.flatnonzero(pc.and_(pc.is_valid(column), pc.is_null(position)).to_numpy(zero_copy_only=False))
    if wrong.size:
        examples = column.take(pa.array(wrong[:EXAMPLES])).to_pylist()
        problems.add(rules.unknown_splits(table, key, name, wrong, examples))
        return None
    numbers = np.array([0, *(SPLITS.index(meant) for meant in WRITTEN.values())], np.uint8)
    splits: np.ndarray = numbers[pc.fill_null(position, -1).to_numpy(zero_copy_only=False) + 1]
    return splits
