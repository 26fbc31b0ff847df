"""`by: column`: the words of a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES
from gconstruct.splits.base import SPLIT_OPERATORS, RowwiseSplit, SplitRows, State
from graphstorm_like.config.splits import ColumnSplit
from graphstorm_like.graph.schema import SPLITS

WRITTEN = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
"""Words that a column may hold (in any case, blanks around them ignored) -> names in SPLITS."""


@SPLIT_OPERATORS.register(ColumnSplit)
class WrittenSplit(RowwiseSplit[ColumnSplit, np.ndarray]):
    """Values: the splits themselves, uint8 (n)."""

    def columns(self) -> list[tuple[str, str, str]]:
        """See Split."""
        return [(self.config.column, "split", "column")]

    def read(self, rows: SplitRows) -> np.ndarray | None:
        """Other words are reported."""
        column = pc.cast(rows.table.column(self.config.column), pa.large_string())
        words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        position = pc.index_in(words, value_set=pa.array(list(WRITTEN), pa.large_string()))
        wrong = np.flatnonzero(pc.and_(pc.is_valid(column), pc.is_null(position)).to_numpy(zero_copy_only=False))
        if wrong.size:
            examples = column.take(pa.array(wrong[:EXAMPLES])).to_pylist()
            rows.problems.add(rules.unknown_splits(rows.table, rows.key, self.config.column, wrong, examples))
            return None
        numbers = np.array([0, *(SPLITS.index(meant) for meant in WRITTEN.values())], np.uint8)
        splits: np.ndarray = numbers[pc.fill_null(position, -1).to_numpy(zero_copy_only=False) + 1]
        return splits

    def apply(self, values: np.ndarray, state: State) -> np.ndarray:
        """See Split. A copy: whoever asked may clear some rows."""
        return values.copy()
