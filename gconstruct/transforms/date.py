"""A date -> its parts, as points on the circle or numbers, and its age in days.

Part p with a period of k -> [sin(2 pi p / k), cos(2 pi p / k)]. Out: the parts in the order of the configuration, then
the age, then the indicator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.problems import EXAMPLES
from gconstruct.times import DAY, read_times
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.transforms.moments import Moments
from gconstruct.values import Source
from graphstorm_like.config.features.date import DateFeature

_PARTS: dict[str, tuple[Callable[..., Any], int, int]] = {
    # part: (of timestamps, its smallest value, its period; 0: it does not return)
    "year": (pc.year, 0, 0),
    "quarter": (pc.quarter, 1, 4),
    "month": (pc.month, 1, 12),
    "week": (pc.iso_week, 1, 53),
    "day_of_year": (pc.day_of_year, 1, 366),
    "day": (pc.day, 1, 31),
    "day_of_week": (pc.day_of_week, 0, 7),
    "hour": (pc.hour, 0, 24),
    "minute": (pc.minute, 0, 60),
}


@dataclass(frozen=True, slots=True)
class Dates:
    """Statistics of some rows."""

    rows: int
    newest: int | None
    """Microseconds since 1970; None: no row has a date"""
    moments: Moments
    """Of the parts that are numbers, and of the days since 1970 for the age"""


@TRANSFORMS.register(DateFeature)
class DateTransform(Transform[DateFeature, pa.Array, Dates]):
    """Values: timestamp[us] in UTC (n), null where there is no date."""

    def __init__(self, config: DateFeature) -> None:
        super().__init__(config)
        self.use = "date" if config.unit is None else "epoch"
        self._on_circle = [part for part in config.chosen_parts() if config.cyclic and _PARTS[part][2]]

    def read(self, source: Source) -> pa.Array | None:
        """What is no date, and missing dates unless they are allowed, are reported."""
        times = read_times(source, self.config.unit)
        if times is None or self.config.missing != "error" or not times.null_count:
            return times
        missing = np.flatnonzero(pc.is_null(times).to_numpy(zero_copy_only=False))
        source.refuse(missing, [None] * EXAMPLES, "a date", f"Set {source.key}.missing: zero")
        return None

    def fit(self, values: pa.Array) -> Dates:
        """Of the dates that are there."""
        dates = values.drop_null()
        numbers = [self._number(part, dates) for part in self.config.chosen_parts() if part not in self._on_circle]
        if self.config.age:
            numbers.append(_microseconds(dates) / DAY)
        columns = np.stack(numbers, axis=1) if numbers else np.empty((len(dates), 0))
        newest = int(_microseconds(dates).max()) if len(dates) else None
        return Dates(len(values), newest, Moments.of([columns], columns.shape[1]))

    def merge(self, first: Dates, second: Dates) -> Dates:
        """Of both."""
        newest = max((dates.newest for dates in (first, second) if dates.newest is not None), default=None)
        return Dates(first.rows + second.rows, newest, first.moments.merged(second.moments))

    def state(self, statistics: Dates, source: Source) -> dict[str, Any] | None:
        """newest (microseconds since 1970, unless `at` is given); mean and std of the parts that are numbers and of the
        age, in the order of the result."""
        config = self.config
        if statistics.newest is None and statistics.rows:
            rule = f"must have at least one date (got {statistics.rows:,} rows without)"
            source.refuse_all(rule, f"Leave out {source.key}")
            return None
        state: dict[str, Any] = {}
        if config.age and config.at is None:
            state["newest"] = statistics.newest or 0
        if config.normalize == "standard":
            fitted = statistics.moments.fitted()
            mean, std = fitted["mean"].tolist(), fitted["std"].tolist()
            if config.age:
                mean[-1] = self._from(state) / DAY - mean[-1]
            state |= {"mean": mean, "std": std}
        return state

    def apply(self, values: pa.Array, state: dict[str, Any], source: Source) -> np.ndarray:
        """float32 (n, width); zeros where there is no date."""
        config = self.config
        missing = pc.is_null(values).to_numpy(zero_copy_only=False)
        dates = pc.fill_null(values, pa.scalar(0, pa.timestamp("us")))
        columns: list[np.ndarray] = []
        numbers = 0
        for part in config.chosen_parts():
            if part in self._on_circle:
                columns += self._circle(part, dates)
            else:
                columns.append(self._scaled(self._number(part, dates), numbers, state))
                numbers += 1
        if config.age:
            columns.append(self._scaled((self._from(state) - _microseconds(dates)) / DAY, numbers, state))
        out = np.stack(columns, axis=1).astype(np.float32)
        out[missing] = 0.0
        return np.column_stack([out, missing.astype(np.float32)]) if config.indicator else out

    def _number(self, part: str, dates: pa.Array) -> np.ndarray:
        """float64 (n)"""
        of_date, _, _ = _PARTS[part]
        numbers: np.ndarray = of_date(dates).to_numpy(zero_copy_only=False).astype(np.float64)
        return numbers

    def _circle(self, part: str, dates: pa.Array) -> list[np.ndarray]:
        _, first, period = _PARTS[part]
        angles = 2 * np.pi * (self._number(part, dates) - first) / period
        return [np.sin(angles), np.cos(angles)]

    def _scaled(self, numbers: np.ndarray, place: int, state: dict[str, Any]) -> np.ndarray:
        """place: among the parts that are numbers, and the age."""
        if self.config.normalize == "none":
            return numbers
        mean, std = float(state["mean"][place]), float(state["std"][place])
        return (numbers - mean) / (std or 1.0)

    def _from(self, state: dict[str, Any]) -> float:
        """The time from which ages count, in microseconds since 1970."""
        if self.config.at is None:
            return float(state["newest"])
        time = datetime.fromisoformat(self.config.at)
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        return aware.timestamp() * 1e6


def _microseconds(times: pa.Array) -> np.ndarray:
    """float64 (n)"""
    numbers: np.ndarray = pc.cast(times, pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers
