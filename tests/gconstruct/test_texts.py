"""Texts: joined columns and templates."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gconstruct import build_graph
from gconstruct.kinds import kind_of, merge_types

from .tables import graph, item, read, write


def text(folder: Path, table: dict[str, Any], **config: Any) -> list[str | None]:
    """The text made of these columns."""
    size = len(next(iter(table.values())))
    write(folder / "items.parquet", id=list(range(size)), **table)
    build_graph(graph(folder, {"item": item(text={"t": config})}), force=True)
    made: list[str | None] = read(folder / "out/graph/part-0/nodes/item.arrow").column("text:t").to_pylist()
    return made


COLUMNS = {"a": ["x", None, None, ""], "b": ["y", "z", None, None]}


def test_joined_columns_leave_nulls_out(tmp_path: Path) -> None:
    assert text(tmp_path, COLUMNS, columns=["a", "b"]) == ["x y", "z", None, ""]
    assert text(tmp_path, COLUMNS, columns=["b", "a"], separator="\n") == ["y\nx", "z", None, ""]
    assert text(tmp_path, COLUMNS, columns="a") == ["x", None, None, ""]


def test_templates_make_nulls_empty(tmp_path: Path) -> None:
    made = text(tmp_path, COLUMNS, template="{{{a}}}: {b}, {a}")
    assert made == ["{x}: y, x", "{}: z, ", None, "{}: , "]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7, "7"), (True, "true"), (2.5, "2.5"), (datetime.date(2024, 1, 31), "2024-01-31"), (b"bytes", "bytes")],
)
def test_other_types_are_written_out(value: Any, shown: str, tmp_path: Path) -> None:
    assert text(tmp_path, {"a": [value, None]}, template="<{a}>") == [f"<{shown}>", None]


def test_a_column_of_nulls(tmp_path: Path) -> None:
    assert text(tmp_path, {"a": pa.nulls(2)}, columns="a") == [None, None]


def test_kinds_and_their_merger() -> None:
    assert kind_of(pa.dictionary(pa.int8(), pa.string())) == "string"
    assert kind_of(pa.list_(pa.float32(), 3)) == "list of float"
    assert kind_of(pa.struct([])) == "other"
    assert merge_types([pa.int8(), pa.uint32(), pa.null()]) == pa.int64()
    assert merge_types([pa.int8(), pa.float32()]) == pa.float64()
    assert merge_types([pa.float32(), pa.float32()]) == pa.float32()
    assert merge_types([pa.list_(pa.int8()), pa.large_list(pa.float64())]) == pa.large_list(pa.float64())
    assert merge_types([pa.string(), pa.int8()]) is None
    assert merge_types([pa.null()]) == pa.null()
