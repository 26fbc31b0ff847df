"""Splits of a table's rows: uint8 (n), positions in SPLITS.

A drawn split hashes the id, so the order of rows, files and chunks does not matter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.hashing import uniform
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.splits import WRITTEN, draw_splits
from gconstruct.values import TableRows
from graphstorm_like.config.graph import SplitConfig
from graphstorm_like.graph.schema import SPLITS

HashedIds = Callable[[], pa.Array]
"""Gives the strings that drawn splits hash, one per row; called only when needed."""


def encode_split(
    table: TableRows, config: SplitConfig, key: str, hashed_ids: HashedIds, problems: Problems
) -> np.ndarray | None:
    """The split of each row of a piece, or None (then `problems` says why)."""
    if config.column is not None:
        return _written_split(table, config.column, key, problems)
    ids = hashed_ids()
    if config.group_by is not None:
        # Each row without a group is a group of its own: otherwise all of them would get the same split.
        groups, ids = (pc.cast(column, pa.large_string()) for column in (table.column(config.group_by), ids))
        ids = pc.coalesce(groups, ids)
    return draw_splits(uniform(ids, config.seed), config)


def check_split(table: TableRows, config: SplitConfig, key: str, problems: Problems) -> None:
    """Report words that name no split, so that all problems of a table are known before any column is encoded."""
    if config.column is not None:
        _written_split(table, config.column, key, problems)


def _written_split(table: TableRows, name: str, key: str, problems: Problems) -> np.ndarray | None:
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
