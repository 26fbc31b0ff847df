"""What a feature transform does, in steps that any engine can take over any pieces of a table.

    read(source)            a column of some rows -> its values, checked row by row
    fit(values)             statistics of these rows;  merge(one, other)  of both
    state(statistics, ...)  what is kept, as JSON-able data: it goes into graph.json
    apply(values, state)    numbers (n, width) of these rows, with a state of now or of long ago

So new rows get the features that the rows of the graph would have got: see `features.apply_fitted`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np

from gconstruct.values import Source
from graphstorm_like.registry import Registry

Config = TypeVar("Config")
Values = TypeVar("Values")
Statistics = TypeVar("Statistics")


class Transform(ABC, Generic[Config, Values, Statistics]):
    """Of one feature. Steps that find something wrong tell `source.refuse`, and return None."""

    use: str
    """Which kinds of columns it takes: a key of kinds.USES"""

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def column(self) -> str:
        """The column that it reads."""
        name: str = self.config.column  # type: ignore[attr-defined]
        return name

    @abstractmethod
    def read(self, source: Source) -> Values | None:
        """The values of n rows."""

    @abstractmethod
    def fit(self, values: Values) -> Statistics:
        """Statistics of these rows."""

    @abstractmethod
    def merge(self, first: Statistics, second: Statistics) -> Statistics:
        """Statistics of the rows of both. Sums of floats may differ in their last digit from those of one `fit`."""

    @abstractmethod
    def state(self, statistics: Statistics, source: Source) -> dict[str, Any] | None:
        """What `apply` needs to know of all rows: JSON-able, and no key of the configuration among its keys."""

    @abstractmethod
    def apply(self, values: Values, state: dict[str, Any], source: Source) -> np.ndarray | None:
        """float32 (n, width), finite."""


TRANSFORMS: Registry[type[Transform[Any, Any, Any]]] = Registry("feature transform", package="gconstruct.transforms")
"""Classes of transforms by the class of their configuration: `@TRANSFORMS.register(NumericFeature)`."""
