"""Numbers, normalised: (x - shift) / scale.

In: a column of numbers, or of lists of one length. Rows are processed in blocks to keep float64 intermediates small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.kinds import kind_of
from gconstruct.problems import EXAMPLES, Unquoted
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.values import Source, as_numbers
from graphstorm_like.config.features.numeric import NumericFeature

_LARGEST_TO_FIT = 1e140
"""The squares of 1e27 such numbers still add up to a finite float64; beyond it mean and std become infinite."""
_BLOCK_VALUES = 1 << 20


@dataclass(frozen=True, slots=True)
class Moments:
    """Statistics of the numbers that are not missing, by position in the list: arrays (width)."""

    rows: int
    """with and without numbers"""
    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    """Sum of squared distances from the mean"""
    low: np.ndarray
    """Infinite when there are no numbers, like `high`"""
    high: np.ndarray


@TRANSFORMS.register(NumericFeature)
class NumericTransform(Transform[NumericFeature, np.ndarray, Moments]):
    """Values: (n, width) float32 or float64, NaN for null."""

    use = "numeric"

    def read(self, source: Source) -> np.ndarray | None:
        """Numbers that are infinite, missing, negative (for log1p) or too large are reported."""
        values: np.ndarray | None
        if pa.types.is_null(source.values.type):
            values = np.full((len(source), source.width or 1), np.nan)
        elif kind_of(source.values.type).startswith("list of "):
            values = _matrix(source)
        else:
            values = _vector(source)
        return values if values is not None and self._check(values, source) else None

    def _check(self, values: np.ndarray, source: Source) -> bool:
        before, config, key = len(source.problems), self.config, source.key
        infinite = np.flatnonzero(np.isinf(values).any(axis=1))
        if infinite.size:
            fix = f"Replace it in the table, e.g. by null with {key}.missing: mean"
            source.refuse(infinite, _examples(values, infinite, np.isinf), "finite", fix)
        missing = np.flatnonzero(np.isnan(values).any(axis=1))
        if missing.size and config.missing == "error":
            shown = [_raw_missing(source, row) for row in missing[:EXAMPLES].tolist()]
            source.refuse(missing, shown, "a number", f"Set {key}.missing: mean or zero")
        if config.normalize != "none" and not config.log1p and values.dtype == np.float64:
            too_large = (values > _LARGEST_TO_FIT) | (values < -_LARGEST_TO_FIT)
            large = np.setdiff1d(np.flatnonzero(too_large.any(axis=1)), infinite)
            if large.size:
                examples = _examples(values, large, lambda v: np.abs(v) > _LARGEST_TO_FIT)
                rule = f"at most {_LARGEST_TO_FIT:g} for normalize: {config.normalize}"
                source.refuse(large, examples, rule, f"Correct the value, or set {key}.log1p: true")
        if config.log1p:
            negative = np.flatnonzero((values < 0).any(axis=1))
            if negative.size:
                examples = _examples(values, negative, lambda v: v < 0)
                fix = f"Leave out {key}.log1p, or correct the values"
                source.refuse(negative, examples, "zero or more for log1p", fix)
        return len(source.problems) == before

    def fit(self, values: np.ndarray) -> Moments:
        """Two passes: the squared distances need the mean of all rows."""
        width = values.shape[1]
        count, total = np.zeros(width), np.zeros(width)
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        for _, block in self._blocks(values):
            count += np.count_nonzero(~np.isnan(block), axis=0)
            total += np.nansum(block, axis=0)
            low = np.fmin(low, np.fmin.reduce(block, axis=0))
            high = np.fmax(high, np.fmax.reduce(block, axis=0))
        mean = np.where(count > 0, total / np.maximum(count, 1), 0.0)
        squares = np.zeros(width)
        for _, block in self._blocks(values):
            squares += np.nansum((block - mean) ** 2, axis=0)
        return Moments(len(values), count, mean, squares, low, high)

    def merge(self, first: Moments, second: Moments) -> Moments:
        """Chan, Golub & LeVeque 1983, eq. 2.1: https://doi.org/10.1080/00031305.1983.10483115"""
        if len(first.count) != len(second.count):
            # A piece without any list shows no width. Lists of another width are reported, with their rows, by `read`
            # when the feature is applied.
            shows_width = first if first.count.any() else second
            return replace(shows_width, rows=first.rows + second.rows)
        count = first.count + second.count
        distance = second.mean - first.mean
        share = second.count / np.maximum(count, 1)
        return Moments(
            first.rows + second.rows,
            count,
            first.mean + distance * share,
            first.squares + second.squares + distance**2 * first.count * share,
            np.fmin(first.low, second.low),
            np.fmax(first.high, second.high),
        )

    def width(self, statistics: Moments, state: dict[str, Any], source: Source) -> int:
        """That of the lists."""
        return len(statistics.count)

    def state(self, statistics: Moments, source: Source) -> dict[str, Any] | None:
        """mean, std (of the population), min and max, as far as `apply` needs them: lists of `width` numbers."""
        has_numbers, config = statistics.count > 0, self.config
        if config.missing == "mean" and statistics.rows and not has_numbers.any():
            source.refuse_all(
                f"must have at least one number to take the mean of (got {statistics.rows:,} rows without)",
                f"Leave the feature out, or set {source.key}.missing: zero",
            )
            return None
        low, high = np.where(has_numbers, statistics.low, 0.0), np.where(has_numbers, statistics.high, 0.0)
        # min == max is exact; a rounded mean leaves a constant column a std of 1e-17, and z-scores that are noise.
        constant = low == high
        std = np.where(constant, 0.0, np.sqrt(statistics.squares / np.maximum(statistics.count, 1)))
        fitted = {"mean": np.where(constant, low, statistics.mean), "std": std, "min": low, "max": high}
        names = {"standard": ["mean", "std"], "min_max": ["min", "max"], "none": []}[config.normalize]
        if config.missing == "mean" and "mean" not in names:
            names.append("mean")
        return {name: fitted[name].tolist() for name in names}

    def apply(self, values: np.ndarray, state: dict[str, Any], source: Source) -> np.ndarray | None:
        """Numbers that float32 cannot hold are reported."""
        width, config = values.shape[1], self.config
        shift, scale, fill = np.zeros(width), np.ones(width), np.zeros(width)
        if config.normalize == "standard":
            shift, scale = np.array(state["mean"]), np.array(state["std"])
        elif config.normalize == "min_max":
            shift, scale = np.array(state["min"]), np.array(state["max"]) - np.array(state["min"])
        if config.missing == "mean":
            fill = np.array(state["mean"])
        if shift.shape != (width,) or fill.shape != (width,):
            fitted = max(len(shift), len(fill))
            source.refuse_all(f"must hold {fitted} numbers a row, as when it was fitted (got {width})", "Correct it")
            return None
        scale = np.where(scale > 0, scale, 1.0)
        out = np.empty(values.shape, np.float32)
        with np.errstate(over="ignore"):  # what becomes infinite is reported
            for rows, block in self._blocks(values):
                out[rows] = (np.where(np.isnan(block), fill, block) - shift) / scale
        infinite = np.flatnonzero(np.isinf(out).any(axis=1))
        if infinite.size:
            rule = f"at most {np.finfo(np.float32).max:.2g}, the largest number of float32"
            normalizes = "" if config.normalize == "standard" else f", or set {source.key}.normalize: standard"
            examples = [_first_value(values[row], np.isinf(out[row])) for row in infinite[:EXAMPLES]]
            source.refuse(infinite, examples, rule, f"Correct the value{normalizes}")
            return None
        return out

    def _blocks(self, values: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Float64 copies of some rows at a time, with log1p taken."""
        step = max(1, _BLOCK_VALUES // values.shape[1])
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            block = values[rows].astype(np.float64)
            if self.config.log1p:
                np.log1p(block, out=block)
            yield rows, block


def _vector(source: Source) -> np.ndarray | None:
    """(n, 1) float64, NaN for null"""
    numbers = as_numbers(source)
    if numbers is None:
        return None
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False).reshape(-1, 1)
    return values


def _matrix(source: Source) -> np.ndarray | None:
    """(n, width) float32 or float64, NaN for null; lists of another width than the first, or than those that the
    feature was fitted on, are a problem."""
    column = source.values
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    with_list = np.flatnonzero(lengths >= 0)
    width = source.width
    if width is None:
        width = int(lengths[with_list[0]]) if with_list.size else 1
    wrong = with_list[lengths[with_list] != width]
    if wrong.size or width == 0:
        rows = wrong if width else with_list
        shown = [Unquoted(f"a list of {n}") for n in lengths[rows[:EXAMPLES]].tolist()]
        others = "in the first row that has one" if source.width is None else "when it was fitted"
        rule = f"a list of {width} numbers, as {others}" if width else "a list of numbers"
        source.refuse(rows, shown, rule, "Make all lists of one length")
        return None
    flat = column.flatten()
    if pa.types.is_boolean(flat.type):
        flat = pc.cast(flat, pa.uint8())
    to = pa.float32() if pa.types.is_float32(flat.type) else pa.float64()
    numbers: np.ndarray = pc.cast(flat, to, safe=False).to_numpy(zero_copy_only=False).reshape(-1, width)
    if with_list.size == len(column):
        return numbers
    values = np.full((len(column), width), np.nan, numbers.dtype)
    values[with_list] = numbers
    return values


def _examples(values: np.ndarray, rows: np.ndarray, is_bad: Callable[[np.ndarray], Any]) -> list[object]:
    """The first bad number of each of the first few bad rows."""
    return [float(values[row][is_bad(values[row])][0]) for row in rows[:EXAMPLES].tolist()]


def _first_value(numbers: np.ndarray, is_bad: np.ndarray) -> object:
    """The first bad number of a row; None when it is missing and what replaces it is too large."""
    number = float(numbers[is_bad][0])
    return None if np.isnan(number) else number


def _raw_missing(source: Source, row: int) -> object:
    """How 'no number' is written in the table: null or NaN, perhaps within a list."""
    value = source.values[row].as_py()
    is_null = None in value if isinstance(value, list) else value is None
    return None if is_null else Unquoted("NaN")
