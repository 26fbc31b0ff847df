"""`by: time`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from graphstorm_like.config.base import Accepts, Fraction, KeyedError
from graphstorm_like.config.splits.base import PARTS, SplitConfig


def time_point(value: Any) -> Any:
    """A date, a time or a number, checked."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a date such as '2024-01-31', a time such as '2024-01-31 12:00', or a number")
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as '2024-01-31', or a time such as '2024-01-31 12:00'") from None
    return value


TimePoint = Annotated[str | int | float, BeforeValidator(time_point), Accepts("string", "number")]


class TimeSplit(SplitConfig):
    """By time: the past for training, what comes after it for validation, the latest for the test.

    Either with `valid_from` and `test_from`, or with fractions of the rows that have a time. Rows of one time share a
    split; rows without one are in none.
    """

    by: Literal["time"] = "time"
    column: str
    """A column of dates, of times, of text that is written like one (2024-01-31, 2024-01-31 12:00:00), or of numbers.
    Times without a time zone count as UTC."""
    valid_from: TimePoint | None = None
    """The first time of validation; what is earlier is for training."""
    test_from: TimePoint | None = None
    """The first time of the test."""
    train: Fraction | None = None
    """Share of rows for training: the earliest."""
    valid: Fraction | None = None
    """Share of rows for validation."""
    test: Fraction | None = None
    """Share of rows for the test: the latest. With fractions construction holds 16 bytes for each different time."""

    @model_validator(mode="after")
    def _one_way(self) -> TimeSplit:
        points = [p for p in (self.valid_from, self.test_from) if p is not None]
        shares = [share for share in (self.train, self.valid, self.test) if share is not None]
        if not (len(points) == 2 and not shares) and not (len(shares) == 3 and not points):
            raise ValueError(
                "must have either 'valid_from' and 'test_from' or all three fractions train, valid and test"
            )
        if shares and abs(sum(shares) - 1.0) > 1e-9:
            raise ValueError(f"must have fractions that sum to 1 (they sum to {sum(shares):g})")
        if points:
            self._check_points(*points)
        return self

    def _check_points(self, valid_from: str | int | float, test_from: str | int | float) -> None:
        if isinstance(valid_from, str) != isinstance(test_from, str):
            raise KeyedError("test_from", "must be of the kind of 'valid_from': both times, or both numbers")
        if in_order(valid_from) >= in_order(test_from):
            raise KeyedError("test_from", f"must be later than 'valid_from', {valid_from} (got {test_from})")

    def empty_parts(self) -> list[str]:
        """See SplitConfig."""
        return [f"{part}: 0" for part in PARTS if getattr(self, part) == 0.0]


def in_order(point: str | int | float) -> float:
    """A number that orders cut points: seconds since 1970 in UTC, or the number itself."""
    if not isinstance(point, str):
        return point
    time = datetime.fromisoformat(point)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
