"""Labels of a table: classes or numbers.

Out: int32 (n, positions in the sorted classes, -1 for null) or float32 (n, NaN for null). The classes are those of
all pieces, sorted: integers by value, others by their text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.values import TableRows, all_integers, as_numbers
from graphstorm_like.config.graph import LabelConfig
from graphstorm_like.graph.schema import NO_LABEL


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """What a piece shows of a label."""

    rows: int
    labelled: int
    classes: pa.Array
    """Distinct values, without null; empty for numbers"""
    integers: bool
    """They are integers, or strings of CSV files that are all written like integers."""


class LabelEncoder:
    """One label."""

    def __init__(self, name: str, config: LabelConfig, table_key: str) -> None:
        self.config, self.key = config, f"{table_key}.labels.{name}"

    def fit(self, table: TableRows, problems: Problems) -> LabelStatistics | None:
        """The classes of a piece; None: `problems` says why not."""
        if self.config.kind == "number":
            numbers = self._numbers(table, problems)
            if numbers is None:
                return None
            labelled = int(np.count_nonzero(~np.isnan(numbers)))
            return LabelStatistics(len(table), labelled, pa.array([], pa.large_string()), False)
        column = _typed(table.column(self.config.column))
        classes = pc.unique(column).drop_null()
        untyped = table.untyped(self.config.column)
        integers = all_integers(classes) if untyped else pa.types.is_integer(column.type)
        return LabelStatistics(len(table), len(column) - column.null_count, classes, integers)

    def merge(self, first: LabelStatistics, second: LabelStatistics) -> LabelStatistics:
        """Classes of both."""
        return LabelStatistics(
            first.rows + second.rows,
            first.labelled + second.labelled,
            pc.unique(pa.concat_arrays([first.classes, second.classes])),
            first.integers and second.integers,
        )

    def classes(self, statistics: LabelStatistics, table: TableRows, problems: Problems) -> list[str] | None:
        """The sorted names of all classes; None: there is no label, as `problems` says. table: any piece."""
        if statistics.rows and not statistics.labelled:
            problems.add(rules.no_labels(table, self.key, self.config.column, statistics.rows))
            return None
        values = pc.cast(statistics.classes, pa.int64()) if statistics.integers else statistics.classes
        names: list[str] = pc.cast(values.take(pc.sort_indices(values)), pa.large_string()).to_pylist()
        return names

    def apply(
        self, table: TableRows, classes: list[str], problems: Problems, refuse_unknown: bool = False
    ) -> np.ndarray | None:
        """The labels of a piece; None: `problems` says why not. refuse_unknown: there may be other classes."""
        if self.config.kind == "number":
            return self._numbers(table, problems)
        column = pc.cast(_typed(table.column(self.config.column)), pa.large_string())
        places = pc.index_in(column, value_set=pa.array(classes, pa.large_string()))
        if refuse_unknown:
            unknown = np.flatnonzero(pc.and_(pc.is_valid(column), pc.is_null(places)).to_numpy(zero_copy_only=False))
            if unknown.size:
                examples = column.take(pa.array(unknown[:EXAMPLES])).to_pylist()
                problems.add(rules.unknown_classes(table, self.key, self.config.column, unknown, examples))
                return None
        labels: np.ndarray = pc.fill_null(places, NO_LABEL).to_numpy(zero_copy_only=False).astype(np.int32)
        return labels

    def has_label(self, labels: np.ndarray) -> np.ndarray:
        """bool (n)"""
        has_label: np.ndarray = labels != NO_LABEL if self.config.kind == "class" else ~np.isnan(labels)
        return has_label

    def _numbers(self, table: TableRows, problems: Problems) -> np.ndarray | None:
        column = self.config.column
        numbers = as_numbers(table.source(column, self.key, problems))
        if numbers is None:
            return None
        values = numbers.to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            labels: np.ndarray = values.astype(np.float32)
        infinite = np.flatnonzero(np.isinf(values))
        large = infinite if infinite.size else np.flatnonzero(np.isinf(labels))
        if large.size:
            rule = rules.infinite_labels if infinite.size else rules.large_labels
            problems.add(rule(table, self.key, column, large, values[large[:EXAMPLES]].tolist()))
            return None
        return labels


def _typed(column: pa.Array) -> pa.Array:
    return pc.cast(column, pa.large_string()) if pa.types.is_null(column.type) else column
