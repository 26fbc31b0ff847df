"""`model.time`: neighbours from each seed's past alone, and what of their ages enters the model."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts, Strict
from graphstorm_like.config.splits import time_point
from graphstorm_like.config.time_encodings import TimeEncodingField

OWN, END = "own", "end"
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}
_DURATION = re.compile(r"^([0-9]+\.?[0-9]*|\.[0-9]+) ?(w|d|h|min|s)$")


def microseconds(duration: str) -> int:
    """'30d' -> 2,592,000,000,000"""
    match = _DURATION.match(duration)
    assert match is not None, "checked when it was read"
    return round(float(match[1]) * _SECONDS[match[2]] * 1_000_000)


def _duration(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = value > 0 if is_number else isinstance(value, str) and _DURATION.match(value) is not None
    if not fits:
        raise ValueError("must be a time such as 30d, 12h, 15min or 10s, or a number above 0 where times are numbers")
    return value


Duration = Annotated[str | int | float, BeforeValidator(_duration), Accepts("string", "number")]


def _seed_time(value: Any) -> Any:
    if value in (OWN, END):
        return value
    try:
        return time_point(value)
    except ValueError:
        raise ValueError("must be own, end, a date such as '2024-01-31', or a number where times are numbers") from None


SeedTime = Annotated[str | int | float, BeforeValidator(_seed_time), Accepts("string", "number")]


class TemporalConfig(Strict):
    """Each seed has a point in time, and its neighbourhood holds nothing later, on any hop. Edge types without a time,
    of their own or of their nodes, are always there. Vectors are those of sampled neighbourhoods, in inference too:
    there is no exact layer-wise pass, for a node's vector differs from one point in time to another."""

    at: SeedTime = OWN
    """Whose point in time counts. own: that of the row that is predicted, a node's or an edge's; where vectors are
    asked for beside that (embeddings, best targets of links) it is `end`. end: the latest time of the graph. A date
    such as '2024-01-31', or where times are numbers a number: this one for all."""
    pick: Literal["uniform", "latest"] = "uniform"
    """Which of the neighbours of the past are taken, of more than the fanout: any, or the most recent."""
    window: Duration | None = None
    """No edge is older than this, e.g. 30d; where times are numbers, a number. null: all of the past. Edges without a
    time in a type that has times (`missing: first`) are older than any window."""
    windows: dict[str, Duration | None] = {}
    """Other windows by edge type, 'source:relation:target', reverse types under their own names."""
    strict: bool = False
    """Whether what is exactly of the seed's time is left out too, e.g. of data whose times are days."""
    encode: TimeEncodingField | None = None
    """What enters the model of ages, from edge and from node to the seed's point in time: a name, or a mapping with
    `type` and settings; null: nothing."""

    @property
    def is_own(self) -> bool:
        """Whether each row has its own point in time."""
        return self.at == OWN
