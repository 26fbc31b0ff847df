"""Feature transforms, in steps that any engine can apply to any pieces of a table.

    read(source)            a column of some rows -> its values, checked row by row
    fit(values)             statistics of these rows;  merge(first, second)  statistics of both
    state(statistics, ...)  what is kept, as JSON-able data in graph.json
    apply(values, state)    numbers (n, width) of these rows, with a state of this run or of an earlier one

So new rows get the same features as the rows of the graph: see `features.apply_fitted`. The pieces may be read by
several processes: values and statistics can be pickled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np

from gconstruct.values import Source
from graphstorm_like.config.features.base import FeatureConfig
from graphstorm_like.registry import Registry

Config = TypeVar("Config", bound=FeatureConfig)
Values = TypeVar("Values")
Statistics = TypeVar("Statistics")


class Transform(ABC, Generic[Config, Values, Statistics]):
    """The transform of one feature. Steps that find something wrong call `source.refuse` and return None."""

    use: str
    """Which kinds of columns it accepts: a key of kinds.USES"""

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


TRANSFORMS: Registry[type[Transform[Any, Any, Any]]] = Registry("feature transform", package="gconstruct.transforms")
"""Classes of transforms by the class of their configuration: `@TRANSFORMS.register(NumericFeature)`."""
