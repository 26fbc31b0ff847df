"""Features: values, widths and fitted statistics."""

from __future__ import annotations

import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gconstruct.features import apply_fitted, encode_feature, transform_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.features.numeric import NumericFeature
from graphstorm_like.errors import DataError
from graphstorm_like.graph.bfloat16 import from_bits, to_bits
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema

from .features import encode, encode_csv, source_of

NONE = {"normalize": "none"}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 0, 3], pa.uint8()),
        pa.array([1.0, 0.0, 3.0], pa.float32()),
        pa.array([decimal.Decimal("1.00"), decimal.Decimal("0"), decimal.Decimal("3.00")]),
        pa.array([1.0, 0.0, 3.0]).dictionary_encode(),
    ],
    ids=["uint8", "float32", "decimal", "dictionary"],
)
def test_numbers_of_any_type(values: pa.Array, tmp_path: Path) -> None:
    assert encode(tmp_path, values, **NONE)[0].tolist() == [[1], [0], [3]]


def test_booleans_are_zero_and_one(tmp_path: Path) -> None:
    assert encode(tmp_path, [True, False, None], **NONE, missing="zero")[0].tolist() == [[1], [0], [0]]
    assert encode_csv(tmp_path, ["true", "False", ""], **NONE, missing="zero")[0].tolist() == [[1], [0], [0]]


def test_csv_numbers_may_have_blanks_and_exponents(tmp_path: Path) -> None:
    assert encode_csv(tmp_path, [" 1", "2.5e1 ", "-.5"], **NONE)[0].tolist() == [[1], [25], [-0.5]]


@pytest.mark.known_answer("features/numeric")
def test_standard_is_the_z_score(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [1.0, 2, 3, 4])
    x = np.array([1.0, 2, 3, 4])
    assert np.allclose(values[:, 0], (x - x.mean()) / x.std())
    chosen = NumericFeature(column="x").model_dump(exclude={"dtype"})
    assert schema.fitted == {**chosen, "mean": [2.5], "std": [pytest.approx(1.25**0.5)]}


def test_min_max(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [10, 20, 15], normalize="min_max")
    assert values.tolist() == [[0], [1], [0.5]]
    assert (schema.fitted["min"], schema.fitted["max"]) == ([10.0], [20.0])


@pytest.mark.parametrize("normalize", ["standard", "min_max"])
def test_a_constant_column_gives_zeros(normalize: str, tmp_path: Path) -> None:
    """0.1 has no exact float: its rounded mean must not be divided by its rounded std."""
    assert encode(tmp_path, [0.1] * 7, normalize=normalize)[0].tolist() == [[0]] * 7


def test_log1p_comes_before_normalization(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [0, 9, 99], log1p=True)
    x = np.log1p([0, 9, 99])
    assert np.allclose(values[:, 0], (x - x.mean()) / x.std())
    assert schema.fitted["mean"] == [pytest.approx(x.mean())]


def test_missing_values_are_not_fitted_and_filled_afterwards(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, pa.array([1.0, None, 3.0, float("nan")]), missing="mean")
    assert values.tolist() == [[-1], [0], [1], [0]]
    assert schema.fitted["mean"] == [2.0]
    assert encode(tmp_path, [1.0, None, 3.0], missing="zero")[0].tolist() == [[-1], [-2], [1]]
    assert encode(tmp_path, [None, None, None], missing="zero", **NONE)[0].tolist() == [[0]] * 3
    assert encode(tmp_path, [2.0, None, 4.0], missing="mean", **NONE)[1].fitted["mean"] == [3.0]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.int64()), pa.list_(pa.float64(), 2)], ids=str
)
def test_lists_are_normalized_by_position(kind: pa.DataType, tmp_path: Path) -> None:
    values, schema = encode(tmp_path, pa.array([[1, 10], [3, 30], None, [5, 20]], kind), missing="mean")
    std = np.array([[1, 10], [3, 30], [5, 20]]).std(axis=0)
    assert schema.width == 2
    assert np.allclose(values, (np.array([[1, 10], [3, 30], [3, 20], [5, 20]]) - [3, 20]) / std)


def test_missing_values_within_a_list(tmp_path: Path) -> None:
    values, _ = encode(tmp_path, [[1.0, None], [3.0, 4.0]], missing="mean", **NONE)
    assert values.tolist() == [[1, 4], [3, 4]]


@pytest.mark.known_answer("features/one_hot")
def test_one_hot_orders_by_frequency_then_name(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, ["b", "c", "a", "c", None], encode="one_hot")
    assert schema.fitted["categories"] == ["c", "a", "b"]
    assert schema.fitted["other"] is None
    assert values.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_one_hot_keeps_the_most_frequent_and_lumps_the_others(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, ["b", "c", "a", "c", None], encode="one_hot", max_categories=1)
    assert (schema.width, schema.fitted["categories"], schema.fitted["other"]) == (2, ["c"], "<other>")
    assert values.tolist() == [[0, 1], [1, 0], [0, 1], [1, 0], [0, 0]]


def test_one_hot_of_integers_and_booleans(tmp_path: Path) -> None:
    assert encode(tmp_path, [10, 9, 10], encode="one_hot")[1].fitted["categories"] == ["10", "9"]
    assert encode(tmp_path, [True, False, True], encode="one_hot")[1].fitted["categories"] == ["true", "false"]


@pytest.mark.known_answer("features/multi_hot")
def test_multi_hot_of_lists(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [["a", " b "], [], None, ["b", "b", None, ""]], encode="multi_hot")
    assert schema.fitted["categories"] == ["b", "a"]
    assert values.tolist() == [[1, 1], [0, 0], [0, 0], [1, 0]]


def test_multi_hot_of_separated_strings(tmp_path: Path) -> None:
    expected = [[1, 1, 0], [0, 0, 0], [1, 0, 1]]
    options = {"encode": "multi_hot", "separator": ";", "max_categories": 2}
    assert encode(tmp_path, ["a; b", None, "a;c;"], **options)[0].tolist() == expected
    assert encode_csv(tmp_path, ["a; b", "", "a;c;"], **options)[0].tolist() == expected


@pytest.mark.parametrize("options", [{}, {"encode": "one_hot"}])
@pytest.mark.parametrize(("dtype", "close"), [("float16", 1e-3), ("bfloat16", 4e-3)])
def test_stored_in_half(tmp_path: Path, options: dict[str, Any], dtype: str, close: float) -> None:
    values = [1.0, 2.5, -3.0] if not options else ["a", "b", "a"]
    whole, _ = encode(tmp_path, values, **options)
    half, schema = encode(tmp_path, values, dtype=dtype, **options)
    assert schema.dtype == dtype
    np.testing.assert_allclose(half, whole, rtol=close)
    rows = LocalGraph(tmp_path / "out/graph").gather("item", "f", np.array([2, 0]))
    np.testing.assert_array_equal(rows, half[[2, 0]])


@given(st.lists(st.floats(-(2.0**127), 2.0**127, width=32), min_size=1))
def test_bfloat16_is_torchs(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    wanted = torch.from_numpy(values).bfloat16()
    np.testing.assert_array_equal(from_bits(to_bits(values)), wanted.float().numpy())


def test_too_large_for_float16(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at most 65,504 as float16.*-70000") as caught:
        encode(tmp_path, [1.0, -7e4], dtype="float16", **NONE)
    assert "Leave out graph.nodes.item.features.f.dtype" in str(caught.value)


numbers_st = st.floats(-1e9, 1e9) | st.none()
words_st = st.sampled_from(["a", "b", "c", "d", "e"]) | st.none()


@st.composite
def columns(draw: st.DrawFn) -> tuple[dict[str, Any], pa.Array]:
    """A feature's configuration, and a column that it takes."""
    encode = draw(st.sampled_from(["numeric", "list", "one_hot", "multi_hot", "separated", "bucket"]))
    dtype = draw(st.sampled_from(["float32", "float16", "bfloat16"]))
    limit = {"max_categories": draw(st.integers(1, 4)), "column": "x", "dtype": dtype}
    if encode in ("numeric", "list"):
        config = {
            "encode": "numeric",
            "column": "x",
            "dtype": dtype,
            "normalize": draw(st.sampled_from(["standard", "min_max"])),
            "missing": draw(st.sampled_from(["mean", "zero"])),
        }
        row = numbers_st if encode == "numeric" else st.none() | st.lists(numbers_st, min_size=2, max_size=2)
        kind = pa.float64() if encode == "numeric" else pa.large_list(pa.float64())
        first: Any = 1.0 if encode == "numeric" else [1.0, 2.0]
        return config, pa.array([first, *draw(st.lists(row, max_size=30))], kind)
    if encode == "bucket":
        by, buckets = draw(st.sampled_from(["range", "quantile"])), draw(st.integers(1, 5))
        missing, window = draw(st.sampled_from(["zero", "own"])), draw(st.sampled_from([0.0, 3.0]))
        config = {"encode": "bucket", "column": "x", "by": by, "buckets": buckets, "missing": missing, "window": window}
        return {**config, "dtype": dtype}, pa.array([1.0, *draw(st.lists(numbers_st, max_size=30))], pa.float64())
    if encode == "one_hot":
        return {"encode": encode, **limit}, pa.array(["a", *draw(st.lists(words_st, max_size=30))], pa.large_string())
    lists = [["a"], *draw(st.lists(st.none() | st.lists(words_st, max_size=4), max_size=30))]
    if encode == "multi_hot":
        return {"encode": encode, **limit}, pa.array(lists, pa.large_list(pa.large_string()))
    strings = [None if words is None else ";".join(word or "" for word in words) for words in lists]
    return {"encode": "multi_hot", "separator": ";", **limit}, pa.array(strings, pa.large_string())


@given(columns(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_saved_state_gives_every_row_the_same_bytes_again(case: tuple[dict[str, Any], pa.Array], data: Any) -> None:
    config, values = case
    source = source_of(values)
    encoded = encode_feature(TypeAdapter(FeatureConfig).validate_python(config), source)
    assert encoded is not None, source.problems.messages
    stored, schema = encoded
    schema = FeatureSchema.model_validate_json(schema.model_dump_json())  # as graph.json keeps it
    rows = data.draw(st.permutations(range(len(values))))[: data.draw(st.integers(1, len(values)))]
    again = apply_fitted(schema, source_of(values.take(pa.array(rows))))
    assert again is not None
    assert again.dtype == stored.dtype
    assert again.tobytes() == stored[rows].tobytes()


def test_new_rows_are_transformed_as_those_of_the_graph(tmp_path: Path) -> None:
    _, schema = encode(tmp_path, [1.0, 3.0, None], missing="mean")
    new = apply_fitted(schema, source_of(pa.array([2.0, 3.0, None, 101.0])))
    assert new is not None
    assert new[:3].tolist() == [[0.0], [1.0], [0.0]]
    _, schema = encode(tmp_path, ["a", "b", "b"], encode="one_hot", max_categories=1)
    new = apply_fitted(schema, source_of(pa.array(["b", "never seen", None])))
    assert new is not None
    assert new.tolist() == [[1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("nothing", [pa.nulls(2), pa.array([None, None], pa.list_(pa.float64()))], ids=str)
def test_rows_without_a_value_have_the_width_of_the_graph(tmp_path: Path, nothing: pa.Array) -> None:
    for options in ({"missing": "mean"}, {"missing": "zero", **NONE}):
        _, schema = encode(tmp_path, [[1.0, 2.0], [3.0, 5.0]], **options)
        new = apply_fitted(schema, source_of(nothing))
        assert new is not None
        assert new.shape == (2, 2)


def test_rows_that_do_not_fit_a_saved_state(tmp_path: Path) -> None:
    for options in ({}, NONE):
        _, schema = encode(tmp_path, [[1.0, 2.0], [3.0, 5.0]], **options)
        source = source_of(pa.array([[1.0, 2.0, 3.0]]))
        assert apply_fitted(schema, source) is None
        assert source.problems.messages == [
            "x.parquet row 1: column 'x' must be a list of 2 numbers, as when it was fitted (got a list of 3). "
            "Make all lists of one length"
        ]
        source = source_of(pa.array([1.0]))
        assert apply_fitted(schema, source) is None
        assert "numbers a row, as " in source.problems.messages[0]
    with pytest.raises(DataError, match="features.f: must be a feature that gsl construct made"):
        apply_fitted(FeatureSchema(width=1), source_of(pa.array([1.0])))
    broken = schema.model_copy(update={"fitted": {**schema.fitted, "normalize": "softmax"}})
    with pytest.raises(DataError, match="must have a configuration in graph.json that this version knows"):
        apply_fitted(broken, source_of(pa.array([1.0])))


@pytest.mark.parametrize("cut", [0, 1, 5])
@pytest.mark.parametrize("config", [{"encode": "one_hot"}, {"encode": "multi_hot", "separator": ";"}])
def test_categories_of_pieces_add_up(config: dict[str, Any], cut: int) -> None:
    values = pa.array(["a;b", "b", None, "c", "c;b"], pa.large_string())
    transform = transform_of(TypeAdapter(FeatureConfig).validate_python({**config, "column": "x", "max_categories": 2}))
    sources = [source_of(piece) for piece in (values, values[:cut], values[cut:])]
    whole, *parts = (transform.fit(transform.read(source)) for source in sources)
    assert transform.state(transform.merge(*parts), sources[0]) == transform.state(whole, sources[0])
