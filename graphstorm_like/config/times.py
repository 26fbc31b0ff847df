"""`time:` of nodes and edges: since when a row is there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts, Strict


class TimeConfig(Strict):
    """Since when a node or an edge is there, for neighbours from the past alone (`model.time`).

    The column holds dates, timestamps or ISO 8601 strings (without a zone they count as UTC), or with `unit` numbers.
    An edge is there when it and both its nodes are: nodes with a time pass it on to their edges.
    """

    column: str
    """The column that holds it."""
    unit: Literal["d", "s", "ms", "us", "ns", "number"] | None = None
    """Of a column of numbers: days, seconds ... since 1970-01-01; number: numbers in a unit of their own, e.g. steps of
    a simulation. All times of a graph are of one kind, points in time or numbers."""
    missing: Literal["error", "first"] = "error"
    """What a null stands for: an error, or before all times, so that the row is always there, and
    older than any window."""

    @property
    def kind(self) -> Literal["moment", "number"]:
        """Points in time, or numbers."""
        return "number" if self.unit == "number" else "moment"


def _column_alone(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


TimeField = Annotated[TimeConfig | None, BeforeValidator(_column_alone), Accepts("string")]
"""Just the name of a column stands for dates and times."""
