"""`by: time`: what is earlier than a cut point is for training, what is later than another one for the test.

Values: times of n rows as int64 microseconds since 1970 in UTC, or numbers as they are (int64, or float64 of CSV files
and float columns). Statistics: the different times and how many rows have each, 16 bytes a time, only where the cut
points follow from fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.kinds import kind_of
from gconstruct.splits.base import SPLIT_OPERATORS, Split, SplitRows, State
from gconstruct.values import Source, cast_values, first_failure
from graphstorm_like.config.splits import TimeSplit

_CUTS = ("valid_from", "test_from")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_ZONE = r":[0-9.]+([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$"
_LONG_FRACTION = r"(\.[0-9]{6})[0-9]+"
"""Digits beyond microseconds are cut off."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times of n rows."""

    values: np.ndarray
    """int64 or float64 (rows with one)"""
    rows: np.ndarray
    """int64: which rows these are"""
    count: int
    """n"""
    is_number: bool | None
    """None: no row has a time"""


@dataclass(frozen=True, slots=True)
class TimeCounts:
    """Different times of some rows, in pieces."""

    times: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    kinds: frozenset[bool]
    """is_number of the pieces"""
    rows: int


@SPLIT_OPERATORS.register(TimeSplit)
class InTime(Split[TimeSplit, Times, TimeCounts]):
    """Rows of one time share a split. State, of fractions: valid_from and test_from in the unit of the
    values; null: behind all times."""

    def __init__(self, config: TimeSplit) -> None:
        super().__init__(config)
        self.needs_fit = self.keeps_state = config.valid_from is None

    def columns(self) -> list[tuple[str, str, str]]:
        """See Split."""
        return [(self.config.column, "moment", "column")]

    def read(self, rows: SplitRows) -> Times | None:
        """Texts that are no times, and times of another kind than the cut points, are reported."""
        source = rows.source(self.config.column)
        kind = kind_of(source.values.type)
        numbers_wanted = None if self.config.valid_from is None else not isinstance(self.config.valid_from, str)
        if kind == "null":
            return Times(np.empty(0, np.int64), np.empty(0, np.int64), len(rows), None)
        if kind == "string":
            times = _of_text(source, numbers_wanted)
        else:
            times = _numbers(source.values) if kind in ("integer", "float") else _moments(source)
        if times is None:
            return None
        if times.is_number is not None and numbers_wanted is not None and times.is_number != numbers_wanted:
            got = "numbers" if times.is_number else "times"
            fix = "a number" if times.is_number else "a time such as '2024-01-31'"
            source.refuse_all(
                f"must hold what {rows.key}.valid_from is (got {got}, and {self.config.valid_from!r} there)",
                f"Write {fix} in valid_from and test_from",
            )
            return None
        return times

    def fit(self, values: Times) -> TimeCounts:
        """Nothing when the cut points are given."""
        kinds = frozenset() if values.is_number is None else frozenset([values.is_number])
        if self.config.valid_from is not None:
            return TimeCounts((), (), kinds, values.count)
        times, counts = np.unique(values.values, return_counts=True)
        return TimeCounts((times,), (counts,), kinds, values.count)

    def merge(self, first: TimeCounts, second: TimeCounts) -> TimeCounts:
        """Those of both; sorted later, once."""
        return TimeCounts(
            first.times + second.times,
            first.counts + second.counts,
            first.kinds | second.kinds,
            first.rows + second.rows,
        )

    def state(self, statistics: TimeCounts, rows: SplitRows) -> State | None:
        """Of given cut points nothing: they may be checked only."""
        column = rows.source(self.config.column)
        if statistics.rows and not statistics.kinds:
            column.refuse_all(
                f"must hold at least one time (got {statistics.rows:,} rows without)", f"Correct {rows.key}.column"
            )
            return None
        if len(statistics.kinds) == 2:
            column.refuse_all("must hold either times or numbers (got both)", "Write all of them in one way")
            return None
        return {} if self.config.valid_from is not None else self._quantiles(statistics)

    def _quantiles(self, statistics: TimeCounts) -> State:
        """Cut points between different times, where the share of earlier rows is nearest to the wanted one."""
        pieces = [times for times in statistics.times if times.size]
        if not pieces:
            return dict.fromkeys(_CUTS)
        times, places = np.unique(np.concatenate(pieces), return_inverse=True)
        counts = np.concatenate(statistics.counts)
        up_to = np.cumsum(np.bincount(places, weights=counts, minlength=len(times)))
        earlier = np.concatenate([[0.0], up_to])  # rows before each time, and before the end
        ends = np.cumsum([self.config.train or 0.0, self.config.valid or 0.0])
        cuts: State = {}
        for name, end in zip(_CUTS, ends, strict=True):
            index = int(np.argmin(np.abs(earlier - end * earlier[-1])))
            cuts[name] = times[index].item() if index < len(times) else None
        return cuts

    def apply(self, values: Times, state: State) -> np.ndarray:
        """See Split."""
        splits = np.full(len(values.values), 1, np.uint8)
        for name in _CUTS:
            given = getattr(self.config, name)
            cut = state[name] if given is None else _in_unit(given)
            if cut is not None:
                splits += values.values >= cut
        out = np.zeros(values.count, np.uint8)
        out[values.rows] = splits
        return out


def _in_unit(point: str | int | float) -> int | float:
    """A cut point as values are: microseconds, or the number."""
    if not isinstance(point, str):
        return point
    time = datetime.fromisoformat(point)
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _numbers(column: pa.Array) -> Times:
    """NaN is no time."""
    valid = pc.is_valid(column)
    if pa.types.is_floating(column.type):
        column = pc.cast(column, pa.float64())
        valid = pc.and_(valid, pc.fill_null(pc.invert(pc.is_nan(column)), False))
    return _present(column, valid, True)


def _moments(source: Source) -> Times | None:
    """Dates and timestamps. Those without a zone count as UTC; nanoseconds are cut to microseconds."""
    column = source.values
    if not pa.types.is_date(column.type) and not pa.types.is_timestamp(column.type):
        source.refuse_all(f"must hold dates, timestamps or numbers (got {column.type})", f"Correct {source.key}")
        return None
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    micro = pc.cast(column, pa.timestamp("us", tz=zone), safe=False)
    return _present(pc.cast(micro, pa.int64()), None, False)


def _of_text(source: Source, numbers_wanted: bool | None) -> Times | None:
    """Numbers where all values are written like numbers, else times."""
    text = pc.utf8_trim_whitespace(pc.cast(source.values, pa.large_string()))
    if numbers_wanted is None:
        written = pc.fill_null(pc.match_substring_regex(text, pattern=_NUMBER), True)
        numbers_wanted = bool(pc.all(written, min_count=0).as_py())
    if numbers_wanted:
        numbers = _parsed(source, text, pa.float64(), "a number")
        return None if numbers is None else _numbers(numbers)
    text = pc.replace_substring_regex(text, pattern=_LONG_FRACTION, replacement=r"\1")
    zoned = pc.fill_null(pc.match_substring_regex(text, pattern=_ZONE), False)
    nothing = pa.scalar(None, pa.large_string())
    moments = []
    for has_zone, unit in ((False, pa.timestamp("us")), (True, pa.timestamp("us", tz="UTC"))):
        chosen = pc.if_else(pc.equal(zoned, has_zone), text, nothing)
        parsed = _parsed(source, chosen, unit, "a time such as '2024-01-31 12:00:00'")
        if parsed is None:
            return None
        moments.append(pc.cast(parsed, pa.int64()))
    return _present(pc.coalesce(*moments), None, False)


def _parsed(source: Source, text: pa.Array, to: pa.DataType, rule: str) -> pa.Array | None:
    """The first value that cannot be read is reported."""
    try:
        return cast_values(text, to)
    except pa.ArrowException:
        row = first_failure(text, to)
        fix = f"Correct the value, or write null for none ({source.key})"
        source.refuse([row], [text[row].as_py()], rule, fix)
        return None


def _present(column: pa.Array, valid: pa.Array | None, is_number: bool) -> Times:
    """The rows with a time."""
    mask = (pc.is_valid(column) if valid is None else valid).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(mask)
    values = column.take(pa.array(rows)).to_numpy(zero_copy_only=False)
    if values.dtype.kind != "f":
        values = values.astype(np.int64)
    return Times(values, rows, len(column), is_number if rows.size else None)
