"""Splits, in steps that any engine can apply to any pieces of a table, like feature transforms.

    read(rows)              what the split reads of some rows, checked row by row
    fit(values)             statistics of these rows;  merge(first, second)  statistics of both
    state(statistics, ...)  what `apply` needs to know about all rows, as JSON-able data
    apply(values, state)    uint8 (n), positions in SPLITS

Rows split alike whatever their order, files and pieces. Statistics and states can be pickled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pyarrow as pa

from gconstruct.problems import Problems
from gconstruct.values import Source, TableRows
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.graph.schema import SPLITS
from graphstorm_like.registry import Registry

EDGE_SEPARATOR = "\x1f"
"""Splits of edges hash the source's id, this, and the target's id."""
HashedIds = Callable[[], pa.Array]
"""Gives the strings that splits hash, one per row; called only when needed."""

Config = TypeVar("Config", bound=SplitConfig)
Values = TypeVar("Values")
Statistics = TypeVar("Statistics")
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Some rows of a table, for the split that stands at `key` in the YAML."""

    table: TableRows
    key: str
    ids: HashedIds
    problems: Problems
    base: str | None = None
    """Folder where relative paths of files with ids start"""
    classes: Callable[[], pa.Array] | None = None
    """Gives the class of each row, large_string or null; None: the split is not of a class label"""

    is_edge: bool = False
    """Whether ids are those of two ends"""

    def __len__(self) -> int:
        return len(self.table)

    def source(self, column: str, field: str = "column") -> Source:
        """A column that the key `field` of the split names."""
        return self.table.source(column, f"{self.key}.{field}", self.problems)


class Split(ABC, Generic[Config, Values, Statistics]):
    """The operator of one split. Steps that find something wrong report it and return None."""

    needs_fit = True
    """Whether `apply` depends on other rows, or only all rows show what is wrong."""
    keeps_state = False
    """Whether graph.json keeps the state, for rows that come later: then `apply` depends on it."""
    checks = True
    """Whether `read` may find something wrong."""
    free_options: ClassVar[frozenset[str]] = frozenset()
    """Options that may be other ones when a kept state is used for new rows: `state` does not depend on them."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def fitted_options(self) -> dict[str, Any]:
        """The options on which a kept state depends, JSON-able; graph.json has them beside it."""
        chosen: dict[str, Any] = self.config.model_dump(mode="json", exclude={"by", *self.free_options})
        return chosen

    def columns(self) -> list[tuple[str, str, str]]:
        """(column, use: a key of kinds.USES, key of the split that names it)"""
        return []

    @abstractmethod
    def read(self, rows: SplitRows) -> Values | None:
        """What it reads of n rows."""

    @abstractmethod
    def fit(self, values: Values) -> Statistics:
        """Statistics of these rows."""

    @abstractmethod
    def merge(self, first: Statistics, second: Statistics) -> Statistics:
        """Statistics of the rows of both."""

    @abstractmethod
    def state(self, statistics: Statistics, rows: SplitRows) -> State | None:
        """What `apply` needs to know about all rows. rows: of any piece, also none, for messages."""

    @abstractmethod
    def apply(self, values: Values, state: State) -> np.ndarray:
        """uint8 (n)"""


class RowwiseSplit(Split[Config, Values, tuple[()]]):
    """A split that depends on each row alone."""

    needs_fit = False

    def fit(self, values: Values) -> tuple[()]:
        """Nothing."""
        return ()

    def merge(self, first: tuple[()], second: tuple[()]) -> tuple[()]:
        """Nothing."""
        return ()

    def state(self, statistics: tuple[()], rows: SplitRows) -> State:
        """Nothing."""
        return {}


SPLIT_OPERATORS: Registry[type[Split[Any, Any, Any]]] = Registry("split", package="gconstruct.splits")
"""Classes of splits by the class of their configuration: `@SPLIT_OPERATORS.register(ColumnSplit)`."""


def split_of(config: SplitConfig) -> Split[Any, Any, Any]:
    """The operator of a configuration."""
    return SPLIT_OPERATORS.of(config)(config)


def split_counts(splits: np.ndarray) -> dict[str, int]:
    """Rows by the name of their split."""
    return dict(zip(SPLITS, np.bincount(splits, minlength=len(SPLITS)).tolist(), strict=True))
