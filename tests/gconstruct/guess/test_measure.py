"""What is measured of columns."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct.guess.facts import ColumnFacts
from gconstruct.guess.measure import look, measure
from gconstruct.guess.sources import find_sources


def column(values: list[Any], untyped: bool = False) -> ColumnFacts:
    return look("c", pa.chunked_array([pa.array(values)]), untyped)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", None], "integer"),
        (["1", "2.5", "1e3"], "float"),
        (["true", "False"], "boolean"),
        (["2024-01-31", "2024-02-01T10:00:00Z"], "time"),
        (["007", "8"], "string"),
        (["1", "x"], "string"),
    ],
)
def test_csv_columns_are_what_all_values_parse_as(values: list[Any], kind: str) -> None:
    assert column(values, untyped=True).kind == kind


def test_typed_columns_stay_what_they_are() -> None:
    assert column(["1", "2"]).kind == "string"
    assert column([1, 2]).kind == "integer"
    assert column([date(2024, 1, 1)]).kind == "time"
    assert column(["2024-01-01", "2024-01-02"]).kind == "time"
    assert column([time(10, 30)]).kind == "other"
    assert column([b"\xff\xd8", b"\x89PNG\xff"]).binary
    assert column([[1.0, 2.0], [3.0, 4.0]]).width == 2
    assert column([["a"], ["b", "a"]]).item_count == 2


def test_numbers() -> None:
    facts = column([1.0, 2.0, 9.0, None, float("nan")])
    assert (facts.low, facts.high, facts.median, facts.nulls, facts.sample_distinct) == (1.0, 9.0, 2.0, 2, 3)


def test_separated_categories() -> None:
    assert column(["a|b", "b|c", "a"] * 10).separator == "|"
    assert column(["one; two", "three"] * 10).separator == ";"
    assert column([f"text {i}; more {i}" for i in range(50)]).separator is None


def test_vectors_in_strings() -> None:
    facts = column(["0.5;1;-2", "1e3;0;.5"], untyped=True)
    assert (facts.width, facts.separator, facts.kind) == (3, ";", "string")
    assert column(["1;2", "1;2;3"]).width is None


def test_nulls_and_repeats_far_from_the_sample_are_found(tmp_path: Path) -> None:
    rows = 60_000
    ids = np.arange(rows)
    ids[-1] = 7
    numbers = np.ones(rows)
    numbers[rows // 3] = np.nan
    pq.write_table(pa.table({"id": ids, "x": numbers}), tmp_path / "t.parquet")
    csv = "id,x\n" + "".join(f"{i},{i if i != 50_000 else 'none'}\n" for i in range(rows))
    (tmp_path / "u.csv").write_text(csv)
    parquet, text = measure(find_sources([str(tmp_path)]), sample_rows=1_000)
    assert not parquet.columns["id"].unique
    assert parquet.columns["id"].distinct == rows - 1
    assert parquet.columns["x"].nulls == 1
    assert text.columns["id"].unique
    assert text.columns["id"].kind == "integer"
    assert text.columns["x"].kind == "string"


def test_a_limit_on_rows_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": np.arange(200_000)}), tmp_path / "t.parquet")
    (table,) = measure(find_sources([str(tmp_path)]), sample_rows=100, rows=70_000)
    assert not table.whole
    assert 70_000 <= table.rows < 200_000
    assert not table.columns["id"].whole
