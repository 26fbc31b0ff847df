"""Numbers in intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.config.features.bucket import BucketFeature
from graphstorm_like.errors import DataError

from .features import encode, encode_csv, source_of

EDGES = {"encode": "bucket", "edges": [0, 10, 20, 30]}
NUMBERS = [-5.0, 0.0, 9.9, 10.0, 25.0, 30.0, 99.0]


def test_edges_that_are_given(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, NUMBERS, **EDGES)
    assert values.argmax(axis=1).tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert values.sum(axis=1).tolist() == [1.0] * 7
    assert schema.width == 3
    assert schema.fitted["inner_edges"] == [10.0, 20.0]


def test_a_csv_column(tmp_path: Path) -> None:
    assert encode_csv(tmp_path, ["5", " 1.5e1", ""], **EDGES, missing="zero")[0].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
    ]


@pytest.mark.known_answer("features/bucket")
def test_buckets_of_equal_width(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [0, 1, 2, 3, 8], encode="bucket", buckets=4)
    assert schema.fitted["inner_edges"] == [2.0, 4.0, 6.0]
    assert values.argmax(axis=1).tolist() == [0, 0, 1, 1, 3]


def test_buckets_of_equally_many(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).lognormal(size=400)
    values, schema = encode(tmp_path, numbers, encode="bucket", buckets=4, by="quantile")
    assert values.sum(axis=0).tolist() == [100.0] * 4
    assert schema.width == 4


def test_quantiles_that_coincide_are_one_edge(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [0, 0, 0, 0, 0, 1], encode="bucket", buckets=4, by="quantile")
    assert (schema.width, schema.fitted["inner_edges"]) == (2, [0.0])
    assert values.argmax(axis=1).tolist() == [1] * 6


def test_a_constant_column(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [7, 7], encode="bucket", buckets=3)
    assert schema.width == 3
    assert values.sum(axis=1).tolist() == [1.0, 1.0]


def test_a_window_overlaps(tmp_path: Path) -> None:
    values, _ = encode(tmp_path, [5.0, 9.0, 15.0, 28.0, -3.0], **EDGES, window=4.0)
    assert values.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    wide, _ = encode(tmp_path, [15.0], **EDGES, window=100.0)
    assert wide.tolist() == [[1, 1, 1]]


def test_missing_numbers(tmp_path: Path) -> None:
    numbers = [None, 5.0, float("nan")]
    assert encode(tmp_path, numbers, **EDGES, missing="zero")[0].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    own, schema = encode(tmp_path, numbers, **EDGES, missing="own", dtype="float16")
    assert own.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert schema.width == 4


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, None], {}, r"items.parquet row 2: column 'x' must be a number \(got null\).*missing: own or zero"),
        ([1.0, float("nan")], {}, r"row 2: column 'x' must be a number \(got NaN\)"),
        ([float("inf"), 1.0], {}, r"row 1: column 'x' must be finite \(got inf\)"),
        (pa.array([None, None], pa.float64()), {"missing": "zero"}, "must have at least one number to take the edges"),
        (["a", "b"], {}, r"column 'x' must hold numbers \(got string\). Use encode: one_hot"),
        ([[1.0], [2.0]], {}, "column 'x' must hold numbers"),
    ],
)
def test_what_is_no_number(tmp_path: Path, values: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode(tmp_path, values, encode="bucket", buckets=3, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "must have either 'edges' or 'buckets'"),
        ({"edges": [0, 1], "buckets": 1}, "must have either 'edges' or 'buckets'"),
        ({"edges": [0.0, 2.0, 2.0]}, r"must be ascending \(got 0, 2, 2\)"),
        ({"edges": [0.0, 2.0], "by": "quantile"}, "must be left out when 'edges' are given"),
        ({"edges": [0.0]}, "at least 2"),
        ({"buckets": 0}, "greater than 0"),
        ({"buckets": 2, "window": -1.0}, "greater than or equal to 0"),
    ],
)
def test_configurations_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BucketFeature(encode="bucket", column="x", **options)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(1, 6), st.sampled_from(["range", "quantile"])
)
@settings(max_examples=40, deadline=None)
def test_pieces_that_are_merged_give_the_edges_of_the_whole(numbers: list[float], buckets: int, by: Any) -> None:
    from gconstruct.transforms.bucket import BucketTransform

    transform = BucketTransform(BucketFeature(encode="bucket", column="x", buckets=buckets, by=by))
    values, source = np.array(numbers), source_of(pa.array(numbers))
    merged = transform.merge(transform.fit(values[:1]), transform.fit(values[1:]))
    assert transform.state(merged, source) == transform.state(transform.fit(values), source)
