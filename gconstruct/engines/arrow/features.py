"""Columns -> dense features, fitted on all rows of the table.

In: a Table of n rows and a FeatureConfig. Out: numbers (n, width) and a FeatureSchema whose `fitted` says how
to make the same feature for new rows. Rows are worked on in blocks, so that float64 intermediates stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.engines.arrow.kinds import kind_of
from gconstruct.engines.arrow.read import Table, as_numbers
from gconstruct.problems import EXAMPLES, Problems, Unquoted, bad_rows
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.features.multi_hot import MultiHotFeature
from graphstorm_like.config.features.numeric import NumericFeature
from graphstorm_like.config.features.one_hot import OneHotFeature
from graphstorm_like.graph.bfloat16 import to_bits
from graphstorm_like.graph.schema import FeatureSchema

Encoded = tuple[np.ndarray, FeatureSchema]
OTHER = "<other>"
_LARGEST_TO_FIT = 1e140
"""Squares of such numbers, added over 1e27 rows, are a float64: beyond it mean and std become infinite."""
_BLOCK_VALUES = 1 << 20


def encode_feature(table: Table, name: str, config: FeatureConfig, problems: Problems) -> Encoded | None:
    """One feature of a table, or None (then `problems` says why)."""
    key = f"{table.key}.features.{name}"
    if isinstance(config, NumericFeature):
        encoded = _numeric(table, config, key, problems)
    elif isinstance(config, OneHotFeature):
        encoded = _one_hot(table, config, key, problems)
    else:
        encoded = _multi_hot(table, config, key, problems)
    if encoded is None or config.dtype == "float32":
        return encoded
    return _narrowed(table, encoded, config, key, problems)


def _narrowed(table: Table, encoded: Encoded, config: FeatureConfig, key: str, problems: Problems) -> Encoded | None:
    """As float16 or bfloat16; numbers that become infinite are a problem."""
    values, schema = encoded
    narrow: np.ndarray
    if config.dtype == "bfloat16":
        narrow = to_bits(values)
        infinite, largest = narrow & 0x7FFF == 0x7F80, "3.39e38"
    else:
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float16)
        infinite, largest = np.isinf(narrow), "65,504"
    large = np.flatnonzero(infinite.any(axis=1))
    if large.size:
        what, fix = f"column {config.column!r}", f"Leave out {key}.dtype, or set {key}.normalize: standard"
        examples: list[object] = [float(values[row][infinite[row]][0]) for row in large[:EXAMPLES].tolist()]
        problems.add(bad_rows(table, large, examples, what, f"at most {largest} as {config.dtype}", fix))
        return None
    return narrow, schema.model_copy(update={"dtype": config.dtype})


# numeric


def _numeric(table: Table, config: NumericFeature, key: str, problems: Problems) -> Encoded | None:
    column = table.column(config.column)
    is_list = kind_of(column.type).startswith("list of ")
    values = _matrix(table, config.column, problems) if is_list else _vector(table, config.column, key, problems)
    if values is None or not _check_numbers(table, values, config, key, problems):
        return None
    fitted = _fit(values, config)
    with np.errstate(over="ignore"):  # what becomes infinite is told
        normalized = _normalize(values, config, fitted)
    infinite = np.flatnonzero(np.isinf(normalized).any(axis=1))
    if infinite.size:
        rule = f"at most {np.finfo(np.float32).max:.2g}, the largest number of float32"
        normalizes = "" if config.normalize == "standard" else f", or set {key}.normalize: standard"
        examples = [_first_value(values[row], np.isinf(normalized[row])) for row in infinite[:EXAMPLES]]
        fix = f"Correct the value{normalizes}"
        problems.add(bad_rows(table, infinite, examples, f"column {config.column!r}", rule, fix))
        return None
    return normalized, FeatureSchema(width=values.shape[1], fitted=_as_json(config, fitted))


def _first_value(numbers: np.ndarray, is_bad: np.ndarray) -> object:
    """The first bad number of a row; null when there is none and what replaces it is too large."""
    number = float(numbers[is_bad][0])
    return None if np.isnan(number) else number


def _vector(table: Table, name: str, key: str, problems: Problems) -> np.ndarray | None:
    """(n, 1) float64, NaN for null"""
    numbers = as_numbers(table, name, key, problems)
    if numbers is None:
        return None
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False).reshape(-1, 1)
    return values


def _matrix(table: Table, name: str, problems: Problems) -> np.ndarray | None:
    """(n, width) float32 or float64, NaN for null; lists of another width than the first are a problem."""
    column = table.column(name)
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    given = np.flatnonzero(lengths >= 0)
    width = int(lengths[given[0]]) if given.size else 1
    wrong = given[lengths[given] != width]
    if wrong.size or width == 0:
        rows = wrong if width else given
        problems.add(
            bad_rows(
                table,
                rows,
                [Unquoted(f"a list of {n}") for n in lengths[rows[:EXAMPLES]].tolist()],
                f"column {name!r}",
                f"a list of {width} numbers, as in the first row that has one" if width else "a list of numbers",
                "Make all lists of one length",
            )
        )
        return None
    flat = column.flatten()
    if pa.types.is_boolean(flat.type):
        flat = pc.cast(flat, pa.uint8())
    to = pa.float32() if pa.types.is_float32(flat.type) else pa.float64()
    numbers: np.ndarray = pc.cast(flat, to, safe=False).to_numpy(zero_copy_only=False).reshape(-1, width)
    if given.size == len(column):
        return numbers
    values = np.full((len(column), width), np.nan, numbers.dtype)
    values[given] = numbers
    return values


def _check_numbers(table: Table, values: np.ndarray, config: NumericFeature, key: str, problems: Problems) -> bool:
    """Infinite, missing and (for log1p) negative values."""
    before = len(problems)
    what = f"column {config.column!r}"
    infinite = np.flatnonzero(np.isinf(values).any(axis=1))
    if infinite.size:
        fix = f"Replace it in the table, e.g. by null with {key}.missing: mean"
        problems.add(bad_rows(table, infinite, _examples(values, infinite, np.isinf), what, "finite", fix))
    missing = np.flatnonzero(np.isnan(values).any(axis=1))
    if missing.size and config.missing == "error":
        shown: list[object] = [_raw_missing(table, config.column, row) for row in missing[:EXAMPLES].tolist()]
        problems.add(bad_rows(table, missing, shown, what, "a number", f"Set {key}.missing: mean or zero"))
    if values.size and missing.size == len(values) and config.missing == "mean" and np.isnan(values).all():
        problems.add(
            f"{table.label()}: {what} must have at least one number to take the mean of (got {len(values):,} rows "
            f"without). Leave the feature out, or set {key}.missing: zero"
        )
    if config.normalize != "none" and not config.log1p and values.dtype == np.float64:
        too_large = (values > _LARGEST_TO_FIT) | (values < -_LARGEST_TO_FIT)
        large = np.setdiff1d(np.flatnonzero(too_large.any(axis=1)), infinite)
        if large.size:
            got = _examples(values, large, lambda v: np.abs(v) > _LARGEST_TO_FIT)
            rule = f"at most {_LARGEST_TO_FIT:g} for normalize: {config.normalize}"
            problems.add(bad_rows(table, large, got, what, rule, f"Correct the value, or set {key}.log1p: true"))
    if config.log1p:
        negative = np.flatnonzero((values < 0).any(axis=1))
        if negative.size:
            fix = f"Leave out {key}.log1p, or correct the values"
            got = _examples(values, negative, lambda v: v < 0)
            problems.add(bad_rows(table, negative, got, what, "zero or more for log1p", fix))
    return len(problems) == before


def _examples(values: np.ndarray, rows: np.ndarray, is_bad: Any) -> list[object]:
    """The first bad number of each of the first few bad rows."""
    return [float(values[row][is_bad(values[row])][0]) for row in rows[:EXAMPLES].tolist()]


def _raw_missing(table: Table, name: str, row: int) -> object:
    """What stands for 'no number' in the table: null or NaN, perhaps within a list."""
    value = table.column(name)[row].as_py()
    if isinstance(value, list):
        return None if None in value else Unquoted("NaN")
    return None if value is None else Unquoted("NaN")


def _blocks(values: np.ndarray, config: NumericFeature) -> Iterator[tuple[slice, np.ndarray]]:
    """Float64 copies of some rows at a time, with log1p taken."""
    step = max(1, _BLOCK_VALUES // values.shape[1])
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        block = values[rows].astype(np.float64)
        if config.log1p:
            np.log1p(block, out=block)
        yield rows, block


def _fit(values: np.ndarray, config: NumericFeature) -> dict[str, np.ndarray]:
    """mean, std (of the population), min and max per list position, over the values that are there."""
    width = values.shape[1]
    count, total = np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for _, block in _blocks(values, config):
        count += np.count_nonzero(~np.isnan(block), axis=0)
        total += np.nansum(block, axis=0)
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
    some = count > 0
    mean = np.where(some, total / np.maximum(count, 1), 0.0)
    squares = np.zeros(width)
    for _, block in _blocks(values, config):
        squares += np.nansum((block - mean) ** 2, axis=0)
    low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
    # min == max is exact; a rounded mean leaves a constant column a std of 1e-17, and z-scores that are noise.
    constant = low == high
    std = np.where(constant, 0.0, np.sqrt(squares / np.maximum(count, 1)))
    return {"mean": np.where(constant, low, mean), "std": std, "min": low, "max": high}


def _normalize(values: np.ndarray, config: NumericFeature, fitted: dict[str, np.ndarray]) -> np.ndarray:
    shift, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
    if config.normalize == "standard":
        shift, scale = fitted["mean"], fitted["std"]
    elif config.normalize == "min_max":
        shift, scale = fitted["min"], fitted["max"] - fitted["min"]
    scale = np.where(scale > 0, scale, 1.0)
    fill = fitted["mean"] if config.missing == "mean" else np.zeros(values.shape[1])
    out = np.empty(values.shape, np.float32)
    for rows, block in _blocks(values, config):
        out[rows] = (np.where(np.isnan(block), fill, block) - shift) / scale
    return out


def _as_json(config: NumericFeature, fitted: dict[str, np.ndarray]) -> dict[str, Any]:
    names = {"standard": ["mean", "std"], "min_max": ["min", "max"], "none": []}[config.normalize]
    if config.missing == "mean" and "mean" not in names:
        names.append("mean")
    return {**config.model_dump(exclude={"dtype"}), **{name: fitted[name].tolist() for name in names}}


# categories


def _one_hot(table: Table, config: OneHotFeature, key: str, problems: Problems) -> Encoded | None:
    strings = pc.cast(table.column(config.column), pa.large_string())
    return _encode(table, strings, None, config, key, problems)


def _multi_hot(table: Table, config: MultiHotFeature, key: str, problems: Problems) -> Encoded | None:
    column = table.column(config.column)
    if config.separator is not None:
        column = pc.split_pattern(pc.cast(column, pa.large_string()), pattern=config.separator)
    if pa.types.is_null(column.type):
        return _encode(table, pa.array([], pa.large_string()), np.empty(0, np.int64), config, key, problems)
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
    strings = pc.utf8_trim_whitespace(pc.cast(column.flatten(), pa.large_string()))
    given = pc.fill_null(pc.not_equal(strings, ""), False)
    return _encode(table, strings.filter(given), rows[given.to_numpy(zero_copy_only=False)], config, key, problems)


def _encode(
    table: Table,
    strings: pa.Array,
    rows: np.ndarray | None,
    config: OneHotFeature | MultiHotFeature,
    key: str,
    problems: Problems,
) -> Encoded | None:
    """Ones at (row, category's column). `rows` (one a string) is None when string i belongs to row i."""
    encoded = strings.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    if len(encoded.dictionary) == 0 and len(table):
        problems.add(
            f"{table.label()}: column {config.column!r} must have at least one category "
            f"(got {len(table):,} rows without). Leave out {key}"
        )
        return None
    names, column_of_code = _rank_categories(encoded.dictionary, codes, config.max_categories)
    other = len(encoded.dictionary) > len(names)
    width = max(1, len(names) + other)
    out = np.zeros((len(table), width), np.float32)
    given = np.flatnonzero(codes >= 0)
    out[given if rows is None else rows[given], column_of_code[codes[given]]] = 1.0
    fitted = {**config.model_dump(exclude={"dtype"}), "categories": names, "other": OTHER if other else None}
    return out, FeatureSchema(width=width, fitted=fitted)


def _rank_categories(categories: pa.Array, codes: np.ndarray, keep: int) -> tuple[list[str], np.ndarray]:
    """Names of the most frequent (ties by name), and the column of each code; the rest share the last column."""
    counts = np.bincount(codes[codes >= 0], minlength=len(categories))
    by_rank = pc.sort_indices(
        pa.table({"count": counts, "name": categories}), sort_keys=[("count", "descending"), ("name", "ascending")]
    ).to_numpy()
    column_of_code = np.empty(len(categories), np.int64)
    column_of_code[by_rank] = np.minimum(np.arange(len(categories)), keep)
    return categories.take(pa.array(by_rank[:keep])).to_pylist(), column_of_code
