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

from gconstruct import build_graph
from gconstruct.engines.arrow import features as module
from graphstorm_like.config.features.numeric import NumericFeature
from graphstorm_like.errors import DataError
from graphstorm_like.graph.bfloat16 import from_bits, to_bits
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema

from .tables import graph, item, read, write


def encode(folder: Path, values: Any, **options: Any) -> tuple[np.ndarray, FeatureSchema]:
    """The feature made of a column x with these values."""
    write(folder / "items.parquet", id=[str(i) for i in range(len(values))], x=values)
    return _build(folder, "items.parquet", options)


def encode_csv(folder: Path, lines: list[str], **options: Any) -> tuple[np.ndarray, FeatureSchema]:
    """The same from a CSV file with these fields."""
    text = "id,x\n" + "".join(f"n{i},{line}\n" for i, line in enumerate(lines))
    (folder / "items.csv").write_text(text, encoding="utf-8")
    return _build(folder, "items.csv", options)


def _build(folder: Path, file: str, options: dict[str, Any]) -> tuple[np.ndarray, FeatureSchema]:
    config = graph(folder, {"item": item(files=file, features={"f": {"column": "x", **options}})})
    schema = build_graph(config, force=True).node("item").features["f"]
    column = read(folder / "out/graph/part-0/nodes/item.arrow").column("feature:f")
    stored = {"bfloat16": pa.uint16()}.get(schema.dtype) or getattr(pa, schema.dtype)()
    assert column.type == pa.list_(stored, schema.width)
    return LocalGraph(folder / "out/graph").feature("item", "f").astype(np.float32), schema


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


def test_standard_is_the_z_score(tmp_path: Path) -> None:
    values, schema = encode(tmp_path, [1.0, 2, 3, 4])
    x = np.array([1.0, 2, 3, 4])
    assert np.allclose(values[:, 0], (x - x.mean()) / x.std())
    assert schema.fitted == {
        "encode": "numeric",
        "column": "x",
        "normalize": "standard",
        "log1p": False,
        "missing": "error",
        "mean": [2.5],
        "std": [pytest.approx(1.25**0.5)],
    }


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


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_blocks_do_not_matter(numbers: list[float], block: int) -> None:
    values = np.array(numbers).reshape(-1, 1)
    config = NumericFeature(column="x")
    whole = module._fit(values, config)
    size, module._BLOCK_VALUES = module._BLOCK_VALUES, block
    try:
        parts = module._fit(values, config)
    finally:
        module._BLOCK_VALUES = size
    for name in ("mean", "std", "min", "max"):
        assert np.allclose(whole[name], parts[name], rtol=1e-9, atol=1e-9)


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
