"""A table's time column -> int64 microseconds since 1970 in UTC (n), or float64 (n)."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from gconstruct.problems import EXAMPLES
from gconstruct.times import read_times
from gconstruct.values import Source, as_numbers
from graphstorm_like.config.times import TimeConfig
from graphstorm_like.graph.schema import always


def time_use(config: TimeConfig) -> str:
    """What the column is used for: a key of kinds.USES."""
    if config.unit is None:
        return "date"
    return "scalar" if config.unit == "number" else "epoch"


def encode_time(config: TimeConfig, source: Source) -> np.ndarray | None:
    """Times of a piece; None: the source's problems say why not. NaN is a null."""
    if config.unit == "number":
        column = as_numbers(source)
        if column is None:
            return None
        numbers: np.ndarray = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        missing = np.isnan(numbers)
    else:
        times = read_times(source, config.unit)
        if times is None:
            return None
        missing = pc.is_null(times).to_numpy(zero_copy_only=False)
        numbers = pc.fill_null(pc.cast(times, "int64"), 0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(missing)
    if not rows.size:
        return numbers
    if config.missing == "error":
        fix = f"Set {source.key}.missing: first, if such rows are always there"
        source.refuse(rows, [None] * min(len(rows), EXAMPLES), "a time", fix)
        return None
    numbers = numbers.copy()
    numbers[rows] = always(numbers.dtype)
    return numbers
