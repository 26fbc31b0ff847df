"""Numbers, normalized: (x - shift) / scale.

In: a column of numbers or of lists of one length, or several columns of numbers. Rows are processed in blocks to keep
float64 intermediates small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gconstruct.problems import EXAMPLES, Unquoted
from gconstruct.quantiles import Distribution, limit_for
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.transforms.moments import Moments
from gconstruct.transforms.vectors import read_vectors
from gconstruct.values import Source
from graphstorm_like.config.features.numeric import NumericFeature

_LARGEST_TO_FIT = 1e140
"""The squares of 1e27 such numbers still add up to a finite float64; beyond it mean and std become infinite."""
_BLOCK_VALUES = 1 << 20
_CONSTANTS = {"zero": 0.0}
_TAILS = (0.25, 0.05, 0.01)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Statistics of some rows; what the configuration does not need is left out."""

    rows: int
    """With and without numbers"""
    count: np.ndarray
    """(width) numbers that are not missing"""
    moments: Moments | None
    distributions: tuple[Distribution, ...] | None
    """One per number of a row"""


@TRANSFORMS.register(NumericFeature)
class NumericTransform(Transform[NumericFeature, np.ndarray, Numbers]):
    """Values: (n, width) float32 or float64, NaN for null, as they are in the table."""

    def __init__(self, config: NumericFeature) -> None:
        super().__init__(config)
        self.use = "scalar" if config.columns is not None else "numeric"
        if config.separator is not None:
            self.use = "separated"
        self._indicators = len(config.columns or [""]) if config.indicator else 0

    def width(self, statistics: Numbers, state: dict[str, Any], source: Source) -> int:
        """That of the lists, and a number per column for the indicator."""
        return len(statistics.count) + self._indicators

    def read(self, source: Source) -> np.ndarray | None:
        """Numbers that are infinite, missing, negative (for log1p) or too large are reported."""
        columns = [self._read_column(column) for column in source.columns()]
        known = [values for values in columns if values is not None]
        if len(known) < len(columns):
            return None
        return known[0] if len(known) == 1 else np.concatenate(known, axis=1)

    def _read_column(self, source: Source) -> np.ndarray | None:
        dims, width = self.config.dims, None if self.config.columns is not None else source.width
        if width is not None:
            width -= self._indicators
        values = read_vectors(source, None if dims is not None else width, self.config.separator)
        if values is not None and dims is not None:
            values = self._first(values, dims, source)
        return values if values is not None and self._check(values, source) else None

    def _first(self, values: np.ndarray, dims: int, source: Source) -> np.ndarray | None:
        """The first numbers of lists; rows without a list do not show their length."""
        if values.shape[1] >= dims:
            return values[:, :dims]
        if np.isnan(values).all():
            return np.full((len(values), dims), np.nan)
        source.refuse_all(
            f"must hold at least {source.key}.dims: {dims} numbers a row (got {values.shape[1]})", "Lower it"
        )
        return None

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
        clipped = self._clip(values)
        if config.normalize != "none" and not config.log1p and values.dtype == np.float64:
            too_large = (clipped > _LARGEST_TO_FIT) | (clipped < -_LARGEST_TO_FIT)
            large = np.setdiff1d(np.flatnonzero(too_large.any(axis=1)), infinite)
            if large.size:
                examples = _examples(values, large, lambda v: np.abs(v) > _LARGEST_TO_FIT)
                rule = f"at most {_LARGEST_TO_FIT:g} for normalize: {config.normalize}"
                source.refuse(large, examples, rule, f"Correct the value, or set {key}.log1p: true")
        if config.log1p:
            negative = np.flatnonzero((clipped < 0).any(axis=1))
            if negative.size:
                examples = _examples(values, negative, lambda v: v < 0)
                fix = f"Leave out {key}.log1p, or correct the values"
                source.refuse(negative, examples, "zero or more for log1p", fix)
        return len(source.problems) == before

    def fit(self, values: np.ndarray) -> Numbers:
        """Of the numbers that are there, after clip and log1p."""
        config, width = self.config, values.shape[1]
        moments, distributions = None, None
        if (config.normalize in ("standard", "min_max") and config.range is None) or config.missing == "mean":
            moments = Moments.of((block for _, block in self._blocks(values)), width)
        if config.normalize == "robust" or config.missing in ("median", "most_frequent"):
            nothing = Distribution.of(np.empty(0), limit_for(width))
            distributions = (nothing,) * width
            for _, block in self._blocks(values):
                distributions = tuple(
                    known.merged(Distribution.of(column[~np.isnan(column)], known.limit))
                    for known, column in zip(distributions, block.T, strict=True)
                )
        return Numbers(len(values), np.count_nonzero(~np.isnan(values), axis=0), moments, distributions)

    def merge(self, first: Numbers, second: Numbers) -> Numbers:
        """Statistics of both, whatever their order."""
        if len(first.count) != len(second.count):
            # A piece without any list shows no width. Lists of another width are reported, with their rows, by `read`
            # when the feature is applied.
            shows_width = first if first.count.any() else second
            return replace(shows_width, rows=first.rows + second.rows)
        moments = None if first.moments is None or second.moments is None else first.moments.merged(second.moments)
        distributions = None
        if first.distributions is not None and second.distributions is not None:
            pairs = zip(first.distributions, second.distributions, strict=True)
            distributions = tuple(one.merged(other) for one, other in pairs)
        return Numbers(first.rows + second.rows, first.count + second.count, moments, distributions)

    def state(self, statistics: Numbers, source: Source) -> dict[str, Any] | None:
        """What `apply` needs of mean, std, min, max, median, spread and most_frequent: lists of
        `width` numbers."""
        config = self.config
        from_column = config.missing in ("mean", "median", "most_frequent")
        if from_column and statistics.rows and not statistics.count.any():
            source.refuse_all(
                f"must have at least one number to take the {config.missing} of (got {statistics.rows:,} rows without)",
                f"Leave the feature out, or set {source.key}.missing: zero",
            )
            return None
        names = {"standard": ["mean", "std"], "min_max": ["min", "max"], "robust": ["median", "spread"], "none": []}
        needed = [] if config.range is not None else names[config.normalize]
        if from_column and config.missing not in needed:
            needed = [*needed, config.missing]
        fitted: dict[str, np.ndarray] = {}
        if statistics.moments is not None:
            fitted |= statistics.moments.fitted()
        if statistics.distributions is not None:
            fitted |= _of_distributions(statistics.distributions)
        return {name: fitted[name].tolist() for name in needed}

    def apply(self, values: np.ndarray, state: dict[str, Any], source: Source) -> np.ndarray | None:
        """Numbers that float32 cannot hold are reported."""
        width, config = values.shape[1], self.config
        fitted = {name: np.array(numbers) for name, numbers in state.items()}
        widths = {len(numbers) for numbers in fitted.values()} - {width}
        if widths:
            rule = f"must hold {widths.pop()} numbers a row, as when it was fitted (got {width})"
            source.refuse_all(rule, "Correct it")
            return None
        shift, scale = self._shift_and_scale(fitted, width)
        fill = fitted.get(config.missing, np.nan)
        out = np.empty((len(values), width + self._indicators), np.float32)
        with np.errstate(over="ignore"):  # what becomes infinite is reported
            for rows, block in self._blocks(values, _CONSTANTS.get(config.missing, config.fill)):
                filled = np.where(np.isnan(block), fill, block)
                out[rows, :width] = (filled - shift) / scale
        infinite = np.flatnonzero(np.isinf(out).any(axis=1))
        if infinite.size:
            rule = f"at most {np.finfo(np.float32).max:.2g}, the largest number of float32"
            normalizes = "" if config.normalize == "standard" else f", or set {source.key}.normalize: standard"
            examples = [_first_value(values[row], np.isinf(out[row, :width])) for row in infinite[:EXAMPLES]]
            source.refuse(infinite, examples, rule, f"Correct the value{normalizes}")
            return None
        if self._indicators:
            missing = np.isnan(values)
            out[:, width:] = missing if self._indicators > 1 else missing.any(axis=1, keepdims=True)
        return out

    def _shift_and_scale(self, fitted: dict[str, np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
        shift, scale = np.zeros(width), np.ones(width)
        if self.config.range is not None:
            low, high = self.config.range
            return shift + low, scale * (high - low)
        if self.config.normalize == "standard":
            shift, scale = fitted["mean"], fitted["std"]
        elif self.config.normalize == "min_max":
            shift, scale = fitted["min"], fitted["max"] - fitted["min"]
        elif self.config.normalize == "robust":
            shift, scale = fitted["median"], fitted["spread"]
        return shift, np.where(scale > 0, scale, 1.0)

    def _clip(self, values: np.ndarray) -> np.ndarray:
        if self.config.clip is None:
            return values
        low, high = self.config.clip
        clipped: np.ndarray = np.clip(values, -np.inf if low is None else low, np.inf if high is None else high)
        return clipped

    def _blocks(self, values: np.ndarray, constant: float | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Float64 copies of some rows at a time, after clip and log1p. constant: stands for numbers that are missing,
        as if the table had it; None: they stay NaN."""
        step = max(1, _BLOCK_VALUES // values.shape[1])
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            block = values[rows].astype(np.float64)
            if constant is not None:
                block[np.isnan(block)] = constant
            block = self._clip(block)
            if self.config.log1p:
                np.log1p(block, out=block)
            yield rows, block


def _of_distributions(distributions: tuple[Distribution, ...]) -> dict[str, np.ndarray]:
    """median, spread and most_frequent; 0 without numbers."""
    fitted = {name: np.zeros(len(distributions)) for name in ("median", "spread", "most_frequent")}
    for column, distribution in enumerate(distributions):
        if len(distribution):
            fitted["median"][column] = distribution.quantiles(np.array([0.5]))[0]
            fitted["spread"][column] = _spread(distribution)
            fitted["most_frequent"][column] = distribution.most_frequent()
    return fitted


def _spread(distribution: Distribution) -> float:
    """From the first to the third quartile. They are equal where more than half of the numbers are: then the part
    between them is taken that is less central."""
    for tail in _TAILS:
        low, high = distribution.quantiles(np.array([tail, 1 - tail]))
        if high > low:
            return float(high - low)
    return 0.0


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
    if isinstance(value, str):
        return value
    is_null = None in value if isinstance(value, list) else value is None
    return None if is_null else Unquoted("NaN")
