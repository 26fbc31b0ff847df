"""Columns of dates and times -> microseconds since 1970-01-01 in UTC.

Dates, timestamps with and without a zone (then UTC), strings in ISO 8601, and numbers with a unit. Fractions of a
microsecond are cut off.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.problems import EXAMPLES
from gconstruct.values import Source, as_numbers, first_failure

PER_UNIT = {"d": 86_400e6, "s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
DAY = 86_400_000_000
_LARGEST = 2.0**62
_WITH_ZONE = r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)$"
_LOCAL, _UTC = pa.timestamp("us"), pa.timestamp("us", "UTC")


def read_times(source: Source, unit: str | None) -> pa.Array | None:
    """timestamp[us] in UTC without a zone (n), null where the column is. unit: of numbers, a key of PER_UNIT.
    None: the source's problems say why not."""
    kind = source.values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(source), _LOCAL)
    if unit is not None:
        return _of_numbers(source, unit)
    if pa.types.is_date(kind):
        return pc.cast(source.values, _LOCAL)
    if pa.types.is_timestamp(kind):
        return pc.cast(pc.cast(source.values, pa.timestamp("us", kind.tz), safe=False), _LOCAL)
    if pa.types.is_large_string(kind):
        return _of_strings(source)
    source.refuse_all(f"must hold dates, or times with a date (got {kind})", "Name another column")
    return None


def _of_numbers(source: Source, unit: str) -> pa.Array | None:
    if pa.types.is_integer(source.values.type) and unit in ("us", "ns"):
        exact = pc.cast(source.values, pa.int64())  # a float has no digits for microseconds
        return pc.cast(exact if unit == "us" else pc.floor(pc.divide(exact, 1000)).cast(pa.int64()), _LOCAL)
    numbers = as_numbers(source)
    if numbers is None:
        return None
    floats = numbers.to_numpy(zero_copy_only=False)
    times, missing = floats * PER_UNIT[unit], np.isnan(floats)
    wrong = np.flatnonzero(np.abs(times) > _LARGEST)
    if wrong.size:
        source.refuse(wrong, floats[wrong[:EXAMPLES]].tolist(), f"a time in {unit} since 1970", "Correct it, or unit")
        return None
    whole = np.floor(np.where(missing, 0.0, times)).astype(np.int64)
    return pc.cast(pa.array(whole, mask=missing), _LOCAL)


def _of_strings(source: Source) -> pa.Array | None:
    strings = pc.utf8_trim_whitespace(source.values)
    strings = pc.replace_substring_regex(strings, pattern=r"(\.\d{6})\d+", replacement=r"\1")
    has_zone = pc.fill_null(pc.match_substring_regex(strings, pattern=_WITH_ZONE), False)
    nothing = pa.scalar(None, pa.large_string())
    parts = []
    for kind, texts in (
        (_UTC, pc.if_else(has_zone, strings, nothing)),
        (_LOCAL, pc.if_else(has_zone, nothing, strings)),
    ):
        try:
            parts.append(pc.cast(pc.cast(texts, kind), _LOCAL))
        except pa.ArrowException:
            row = first_failure(texts, kind)
            rule = "a date in ISO 8601, such as 2024-01-31 or 2024-01-31T12:00:00Z"
            fix = f"Correct the value, or name it in csv.null_values ({source.key})"
            source.refuse([row], [source.values[row].as_py()], rule, fix)
            return None
    return pc.coalesce(*parts)
