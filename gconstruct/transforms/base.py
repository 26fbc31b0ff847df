"""Feature transforms, in steps that any engine can apply to any pieces of a table.

    read(source)            a column of some rows -> its values, checked row by row
    fit(values)             statistics of these rows;  merge(first, second)  statistics of both
    state(statistics, ...)  what is kept, as JSON-able data in graph.json
    apply(values, state)    numbers (n, width) of these rows, with a state of this run or of an earlier one
    entries(values, state)  the same by those that are not 0, where few are

So new rows get the same features as the rows of the graph: see `features.apply_fitted`. The pieces may be read by
several processes: values and statistics can be pickled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np

from gconstruct.values import Source
from graphstorm_like.config.features.base import FeatureConfig
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.registry import Registry

Config = TypeVar("Config", bound=FeatureConfig)
Values = TypeVar("Values")
Statistics = TypeVar("Statistics")


class Transform(ABC, Generic[Config, Values, Statistics]):
    """The transform of one feature. Steps that find something wrong call `source.refuse` and return None."""

    use: str
    """Which kinds of columns it accepts: a key of kinds.USES"""
    gives_entries = False
    """Whether it is an EntryTransform."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def columns(self) -> list[str]:
        """The columns that it reads, at least one: `read` gets the first as its source, the others in `others`."""
        return self.config.column_names()

    def width(self, statistics: Statistics, state: dict[str, Any], source: Source) -> int:
        """Numbers per row of the feature, also of pieces without rows. To be overridden where rows are needed to see
        it."""
        values = self.read(source.without_rows())
        nothing = None if values is None else self.apply(values, state, source.without_rows())
        assert nothing is not None, f"{type(self).__name__} must accept a column without rows"
        return int(nothing.shape[1])

    @abstractmethod
    def read(self, source: Source) -> Values | None:
        """The values of n rows."""

    @abstractmethod
    def fit(self, values: Values) -> Statistics:
        """Statistics of these rows."""

    @abstractmethod
    def merge(self, first: Statistics, second: Statistics) -> Statistics:
        """Statistics of the rows of both. Sums of floats may differ in the last digit from those of one `fit`."""

    @abstractmethod
    def state(self, statistics: Statistics, source: Source) -> dict[str, Any] | None:
        """What `apply` needs to know about all rows: JSON-able, without keys of the configuration."""

    @abstractmethod
    def apply(self, values: Values, state: dict[str, Any], source: Source) -> np.ndarray | None:
        """float32 (n, width), finite."""

    def entries(self, values: Values, state: dict[str, Any], source: Source) -> SparseRows | None:
        """The same by the numbers that are not 0; of an EntryTransform."""
        raise NotImplementedError(f"{type(self).__name__} gives whole rows")


class EntryTransform(Transform[Config, Values, Statistics]):
    """A transform whose rows have few numbers that are not 0: wide features of it are stored by these alone."""

    gives_entries = True

    @abstractmethod
    def entries(self, values: Values, state: dict[str, Any], source: Source) -> SparseRows | None:
        """The rows, float32."""

    def apply(self, values: Values, state: dict[str, Any], source: Source) -> np.ndarray | None:
        """See Transform."""
        rows = self.entries(values, state, source)
        return None if rows is None else np.asarray(rows)


TRANSFORMS: Registry[type[Transform[Any, Any, Any]]] = Registry("feature transform", package="gconstruct.transforms")
"""Classes of transforms by the class of their configuration: `@TRANSFORMS.register(NumericFeature)`."""
