"""`encode: date`"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from graphstorm_like.config.base import Accepts, KeyedError
from graphstorm_like.config.features.base import FeatureConfig

Part = Literal["year", "quarter", "month", "week", "day_of_year", "day", "day_of_week", "hour", "minute"]


def _date(value: Any) -> Any:
    """YAML may read 2024-01-31 as a date."""
    text = value.isoformat() if hasattr(value, "isoformat") else value
    try:
        datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError("must be a date, e.g. 2024-01-31 or 2024-01-31T12:00:00+00:00") from None
    return text


class DateFeature(FeatureConfig):
    """A date or time per row: its parts, and its age in days. Times are in UTC; those without a zone count as UTC.

    The column holds dates, timestamps, ISO 8601 strings, or numbers since 1970 with `unit`.
    """

    encode: Literal["date"]
    column: str
    """The column that holds it."""
    unit: Literal["d", "s", "ms", "us", "ns"] | None = None
    """Of a column of numbers: days, seconds ... since 1970-01-01."""
    parts: Annotated[list[Part], Field(min_length=1)] | None = None
    """Parts of the date, in this order. Default: year, month and day_of_week, or with `age` none."""
    cyclic: bool = True
    """Parts that return (all but the year) are points on a circle: sin and cos, so that December lies next to January.
    false: one number each, like the year."""
    age: bool = False
    """Also the days from the date to `at`."""
    at: Annotated[str, BeforeValidator(_date), Accepts("string", type="string", format="date")] | None = None
    """The date from which ages count. Default: the newest date of the column."""
    normalize: Literal["standard", "none"] = "standard"
    """Of numbers that are no points on a circle: (x - mean) / std, or as they are."""
    missing: Literal["error", "zero"] = "error"
    """What a null becomes: an error, or the zero vector."""
    indicator: bool = False
    """Add a number: 1 where the date is missing, else 0."""

    @model_validator(mode="after")
    def _consistent(self) -> DateFeature:
        if self.at is not None and not self.age:
            raise KeyedError("at", "must come with age: true")
        if self.parts is not None and len(set(self.parts)) < len(self.parts):
            raise KeyedError("parts", "must name each part once")
        if self.indicator and self.missing == "error":
            raise KeyedError("indicator", "must come with missing: zero")
        return self

    def chosen_parts(self) -> list[Part]:
        """The parts, with their default."""
        if self.parts is not None:
            return list(self.parts)
        return [] if self.age else ["year", "month", "day_of_week"]
