"""Labels of a table: a class, several classes or a number.

Out: int32 (n, positions in the sorted classes, -1 for null), uint8 (n, classes: 1 where the row has the class; a null
row holds NO_CLASSES) or float32 (n, NaN for null). The classes are those of all pieces, sorted: integers by value,
others by their text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.values import TableRows, all_integers, as_numbers
from graphstorm_like.config.graph import LabelConfig
from graphstorm_like.graph.schema import NO_CLASSES, NO_LABEL

MAX_CLASSES = 4096
"""Of a label of kind classes: a row takes a byte for each."""


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """What a piece shows of a label."""

    rows: int
    labelled: int
    classes: pa.Array
    """Distinct values, without null; empty for numbers"""
    integers: bool
    """They are integers, or strings that are all written like integers where the type says nothing."""


class LabelEncoder(ABC):
    """One label."""

    def __init__(self, name: str, config: LabelConfig, table_key: str) -> None:
        self.config, self.key = config, f"{table_key}.labels.{name}"

    @abstractmethod
    def fit(self, table: TableRows, problems: Problems) -> LabelStatistics | None:
        """The classes of a piece; None: `problems` says why not."""

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

    @abstractmethod
    def apply(
        self, table: TableRows, classes: list[str], problems: Problems, refuse_unknown: bool = False
    ) -> np.ndarray | None:
        """The labels of a piece; None: `problems` says why not. refuse_unknown: there may be other classes."""

    def _refuse_unknown(
        self, names: pa.Array, places: pa.Array, rows: np.ndarray, table: TableRows, problems: Problems
    ) -> bool:
        """Report names that are not among the classes, and tell whether there are any. rows: the row of each name."""
        unknown = np.flatnonzero(pc.and_(pc.is_valid(names), pc.is_null(places)).to_numpy(zero_copy_only=False))
        if unknown.size:
            examples = names.take(pa.array(unknown[:EXAMPLES])).to_pylist()
            problems.add(rules.unknown_classes(table, self.key, self.config.column, rows[unknown], examples))
        return bool(unknown.size)

    @abstractmethod
    def has_label(self, labels: np.ndarray) -> np.ndarray:
        """bool (n)"""


class ClassEncoder(LabelEncoder):
    """kind: class."""

    def fit(self, table: TableRows, problems: Problems) -> LabelStatistics:
        """See LabelEncoder."""
        column = _typed(table.column(self.config.column))
        classes = pc.unique(column).drop_null()
        untyped = table.untyped(self.config.column)
        integers = all_integers(classes) if untyped else pa.types.is_integer(column.type)
        return LabelStatistics(len(table), len(column) - column.null_count, classes, integers)

    def apply(
        self, table: TableRows, classes: list[str], problems: Problems, refuse_unknown: bool = False
    ) -> np.ndarray | None:
        """See LabelEncoder."""
        names = self.names(table)
        places = pc.index_in(names, value_set=pa.array(classes, pa.large_string()))
        if refuse_unknown and self._refuse_unknown(names, places, np.arange(len(table)), table, problems):
            return None
        labels: np.ndarray = pc.fill_null(places, NO_LABEL).to_numpy(zero_copy_only=False).astype(np.int32)
        return labels

    def names(self, table: TableRows) -> pa.Array:
        """The class of each row, large_string or null."""
        return pc.cast(_typed(table.column(self.config.column)), pa.large_string())

    def has_label(self, labels: np.ndarray) -> np.ndarray:
        """See LabelEncoder."""
        has_label: np.ndarray = labels != NO_LABEL
        return has_label


class ClassesEncoder(LabelEncoder):
    """kind: classes. Blanks around names and empty names are ignored; an empty list is a label without any class."""

    def fit(self, table: TableRows, problems: Problems) -> LabelStatistics:
        """See LabelEncoder."""
        column = _typed(table.column(self.config.column))
        names, _ = self._items(column)
        classes = pc.unique(names)
        separated = self.config.separator is not None
        integers = all_integers(classes) if separated else _holds_integers(column.type)
        return LabelStatistics(len(table), len(column) - column.null_count, classes, integers)

    def _items(self, column: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """(names of all rows one after another, large_string; the row of each)"""
        if self.config.separator is not None:
            column = pc.split_pattern(pc.cast(column, pa.large_string()), pattern=self.config.separator)
        elif not _is_list(column.type):
            return pa.array([], pa.large_string()), np.empty(0, np.int64)
        rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        names = pc.utf8_trim_whitespace(pc.cast(pc.list_flatten(column), pa.large_string()))
        named = pc.fill_null(pc.not_equal(names, ""), False)
        return names.filter(named), rows[named.to_numpy(zero_copy_only=False)]

    def classes(self, statistics: LabelStatistics, table: TableRows, problems: Problems) -> list[str] | None:
        """See LabelEncoder."""
        count = len(statistics.classes)
        if count > MAX_CLASSES:
            problems.add(rules.many_classes(table, self.key, self.config.column, count, MAX_CLASSES), self.key)
            return None
        if statistics.rows and not count:
            problems.add(rules.no_labels(table, self.key, self.config.column, statistics.rows))
            return None
        return super().classes(statistics, table, problems)

    def apply(
        self, table: TableRows, classes: list[str], problems: Problems, refuse_unknown: bool = False
    ) -> np.ndarray | None:
        """See LabelEncoder."""
        column = _typed(table.column(self.config.column))
        names, rows = self._items(column)
        places = pc.index_in(names, value_set=pa.array(classes, pa.large_string()))
        if refuse_unknown and self._refuse_unknown(names, places, rows, table, problems):
            return None
        labels = np.zeros((len(table), max(1, len(classes))), np.uint8)
        labels[rows, places.to_numpy(zero_copy_only=False).astype(np.int64)] = 1
        labels[pc.is_null(column).to_numpy(zero_copy_only=False)] = NO_CLASSES
        return labels

    def has_label(self, labels: np.ndarray) -> np.ndarray:
        """See LabelEncoder."""
        has_label: np.ndarray = labels[:, 0] != NO_CLASSES
        return has_label


class NumberEncoder(LabelEncoder):
    """kind: number."""

    def fit(self, table: TableRows, problems: Problems) -> LabelStatistics | None:
        """See LabelEncoder."""
        numbers = self.apply(table, [], problems)
        if numbers is None:
            return None
        return LabelStatistics(len(table), int(self.has_label(numbers).sum()), pa.array([], pa.large_string()), False)

    def apply(
        self, table: TableRows, classes: list[str], problems: Problems, refuse_unknown: bool = False
    ) -> np.ndarray | None:
        """See LabelEncoder."""
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

    def has_label(self, labels: np.ndarray) -> np.ndarray:
        """See LabelEncoder."""
        has_label: np.ndarray = ~np.isnan(labels)
        return has_label


_ENCODERS: dict[str, type[LabelEncoder]] = {"class": ClassEncoder, "classes": ClassesEncoder, "number": NumberEncoder}


def label_encoder(name: str, config: LabelConfig, table_key: str) -> LabelEncoder:
    """The encoder of a label of the table at `table_key`."""
    return _ENCODERS[config.kind](name, config, table_key)


def _typed(column: pa.Array) -> pa.Array:
    return pc.cast(column, pa.large_string()) if pa.types.is_null(column.type) else column


def _is_list(data_type: pa.DataType) -> bool:
    return any(test(data_type) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _holds_integers(data_type: pa.DataType) -> bool:
    return _is_list(data_type) and pa.types.is_integer(data_type.value_type)
