"""Numbers: limits, scaling, what is missing. Other tests of them are in test_features.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.transforms import numeric as module
from graphstorm_like.config.features.numeric import NumericFeature

from ..features import encode, encode_csv
from .pieces import applied, assert_pieces_do_not_matter, config_of, fitted, numbers_of, refused, strings
from .tables_of_columns import encode_columns

NONE = {"normalize": "none"}


def test_robust_scaling_is_not_ruined_by_outliers() -> None:
    values, schema = fitted(pa.array([1.0, 2.0, 3.0, 4.0, 1e9]), normalize="robust")
    assert (schema.fitted["median"], schema.fitted["spread"]) == ([3.0], [2.0])
    assert values[:4, 0].tolist() == [-1.0, -0.5, 0.0, 0.5]
    standard = numbers_of(pa.array([1.0, 2.0, 3.0, 4.0, 1e9]))
    assert np.ptp(standard[:4]) < 1e-8


def test_robust_scaling_where_most_numbers_are_equal() -> None:
    """The quartiles are equal: the 5th and 95th percentiles count."""
    values, schema = fitted(pa.array([0.0] * 80 + [10.0] * 20), normalize="robust")
    assert schema.fitted["spread"] == [10.0]
    assert np.unique(values).tolist() == [0.0, 1.0]
    assert numbers_of(pa.array([5.0, 5.0]), normalize="robust").tolist() == [[0.0], [0.0]]


def test_clip_comes_first() -> None:
    values, schema = fitted(pa.array([-50.0, 0.0, 4.0, 900.0]), clip=[0, 10], normalize="min_max")
    assert values[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.4, 1.0])
    assert schema.fitted["max"] == [10.0]
    assert applied(schema, pa.array([1e6, -1e6])).tolist() == [[1.0], [0.0]]
    assert numbers_of(pa.array([-50.0, 7.0]), clip=[0, None], log1p=True, **NONE)[0, 0] == 0.0
    assert numbers_of(pa.array([-50.0, 7.0]), clip=[None, 5], **NONE).tolist() == [[-50.0], [5.0]]


def test_a_range_that_is_given() -> None:
    values, schema = fitted(pa.array([0.0, 50.0]), normalize="min_max", range=[0, 200])
    assert values[:, 0].tolist() == [0.0, 0.25]
    assert not {"min", "max"} & schema.fitted.keys()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"missing": "mean"}, 4.0),
        ({"missing": "median"}, 2.0),
        ({"missing": "most_frequent"}, 1.0),
        ({"missing": "zero"}, 0.0),
        ({"missing": "constant", "fill": -3.0}, -3.0),
        ({"fill": 8.0}, 8.0),
        ({"fill": 8.0, "clip": [None, 5]}, 5.0),
        ({"fill": np.expm1(2.0), "log1p": True}, 2.0),
        ({"missing": "median", "clip": [None, 1.5]}, 1.5),
    ],
    ids=str,
)
def test_what_fills_missing_numbers(options: dict[str, Any], expected: float) -> None:
    column = pa.array([1.0, 1.0, None, 2.0, 3.0, 13.0])
    values, schema = fitted(column, **options, **NONE)
    assert values[2, 0] == pytest.approx(expected)
    assert applied(schema, pa.array([None], pa.float64()))[0, 0] == pytest.approx(expected)


def test_an_indicator_tells_what_was_missing() -> None:
    values, schema = fitted(pa.array([1.0, None, 3.0]), missing="mean", indicator=True, **NONE)
    assert (values.tolist(), schema.width) == ([[1, 0], [2, 1], [3, 0]], 2)
    lists = pa.array([[1.0, 2.0], None, [3.0, None]])
    values, schema = fitted(lists, missing="zero", indicator=True, **NONE)
    assert values.tolist() == [[1, 2, 0], [0, 0, 1], [3, 0, 1]]
    assert applied(schema, pa.nulls(1)).tolist() == [[0, 0, 1]]


def test_several_columns_at_once(tmp_path: Path) -> None:
    table = {"a": [1.0, 3.0, None], "b": [10, 20, 30]}
    values, schema = encode_columns(tmp_path, table, columns=["a", "b"], missing="mean", indicator=True)
    a, b = np.array([-1.0, 1.0, 0.0]), np.array([10, 20, 30])
    np.testing.assert_allclose(values[:, 0], a)
    np.testing.assert_allclose(values[:, 1], (b - 20) / b.std(), rtol=1e-6)
    assert values[:, 2:].tolist() == [[0, 0], [0, 0], [1, 0]]
    assert (schema.width, schema.fitted["mean"]) == (4, [2.0, 20.0])


def test_vectors_in_strings(tmp_path: Path) -> None:
    values, schema = encode_csv(tmp_path, ["1; 2;3", "", "4;;6"], separator=";", missing="zero", **NONE)
    assert values.tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 6]]
    assert applied(schema, strings("7;8;9")).tolist() == [[7, 8, 9]]
    [message] = refused(strings("1;2", "1;x"), separator=";", **NONE)
    assert message.startswith("x.parquet row 2: column 'x' must be numbers with ';' between them (got '1;x')")
    [message] = refused(strings("1;2", "1"), separator=";", missing="zero", **NONE)
    assert "must be a list of 2 numbers, as in the first row that has one (got a list of 1)" in message


def test_the_first_numbers_of_a_list(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [[1.0, 2, 3], [4, 5, 6]], dims=2, **NONE)
    assert (values.tolist(), schema.width) == ([[1, 2], [4, 5]], 2)
    assert applied(schema, pa.array([[7.0, 8.0, 9.0, 10.0]])).tolist() == [[7, 8]]
    [message] = refused(pa.array([[1.0, 2.0]]), dims=3)
    assert message == "x.parquet: column 'x' must hold at least features.f.dims: 3 numbers a row (got 2). Lower it"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": None}, "must have either 'column' or 'columns'"),
        ({"columns": ["a"]}, "must have either 'column' or 'columns'"),
        ({"column": None, "columns": ["a", "a"]}, "must name each column once"),
        ({"column": None, "columns": ["a", "b"], "dims": 2}, "must be left out with 'columns'"),
        ({"clip": [3, 1]}, "must be .low, high. with low < high"),
        ({"range": [0, 1]}, "must come with normalize: min_max"),
        ({"range": [1, 0], "normalize": "min_max"}, "with min < max"),
        ({"missing": "constant"}, "must be given with missing: constant"),
        ({"missing": "mean", "fill": 1.0}, "must be given with missing: constant"),
        ({"indicator": True}, "must come with a way to fill"),
        ({"fill": -1.0, "log1p": True}, "must be zero or more for log1p"),
    ],
    ids=str,
)
def test_configurations_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(**options)


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent"])
def test_nothing_to_fill_with(missing: str) -> None:
    [message] = refused(pa.array([None, None], pa.float64()), missing=missing)
    assert f"must have at least one number to take the {missing} of (got 2 rows without)" in message


numbers_st = st.lists(st.none() | st.integers(-1000, 1000).map(lambda n: n / 8), min_size=1, max_size=40)


@given(
    numbers_st,
    st.lists(st.integers(0, 40), max_size=4),
    st.sampled_from(["standard", "min_max", "robust", "none"]),
    st.sampled_from(["zero", "mean", "median", "most_frequent"]),
)
@settings(max_examples=60, deadline=None)
def test_pieces_do_not_matter(numbers: list[float | None], cuts: list[int], normalize: str, missing: str) -> None:
    column = pa.array([1.5, *numbers], pa.float64())
    assert_pieces_do_not_matter(column, cuts, normalize=normalize, missing=missing)


def test_sums_that_cancel_out_do_not_show_their_order() -> None:
    numbers = np.array([0.1, 0.2, -0.3, 1e5, -1e5])
    for _ in range(5):
        numbers = np.roll(numbers, 1)
        assert_pieces_do_not_matter(pa.array(numbers), [1, 3])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_blocks_do_not_matter(numbers: list[float], block: int) -> None:
    values, transform = np.array(numbers).reshape(-1, 1), module.NumericTransform(NumericFeature(column="x"))
    whole = transform.fit(values).moments
    size, module._BLOCK_VALUES = module._BLOCK_VALUES, block
    try:
        parts = transform.fit(values).moments
    finally:
        module._BLOCK_VALUES = size
    assert whole is not None
    assert parts is not None
    for name in ("count", "mean", "squares", "low", "high"):
        assert np.allclose(getattr(whole, name), getattr(parts, name), rtol=1e-9, atol=1e-9), name
