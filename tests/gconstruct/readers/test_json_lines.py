"""JSON lines: types of the first rows, keys that come and go, and messages with rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gconstruct.problems import Problems
from gconstruct.readers import json_lines as module
from gconstruct.tables.read import read_table, stream_table
from graphstorm_like.errors import DataError

from .formats import json_lines, plan_of

FEATURE: dict[str, Any] = {"features": {"x": {"column": "x", "missing": "zero"}}}


def read(folder: Path, content: bytes, **node: Any) -> dict[str, list[Any]]:
    """The planned columns of a file with these bytes."""
    (folder / "a.jsonl").write_bytes(content)
    problems = Problems()
    table = read_table(plan_of(folder, problems, files="a.jsonl", **node), problems)
    problems.raise_if_any()
    assert table is not None
    columns: dict[str, list[Any]] = table.data.to_pydict()
    return columns


def test_keys_may_be_missing_and_come_in_any_order(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"x": 1, "id": "a"}\r\n\n{"id": "b", "other": {"deep": [1]}}\n{"id": "c", "x": null}'
    assert read(tmp_path, content, **FEATURE) == {"id": ["a", "b", "c"], "x": [1.0, None, None]}


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_numbers_with_fractions_after_whole_ones(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the search for types ended before the first of them."""
    monkeypatch.setattr(module, "_BLOCK", block)
    content = json_lines([{"id": str(i), "x": i} for i in range(20)] + [{"id": "z", "x": 0.5}])
    assert read(tmp_path, content, **FEATURE)["x"] == [*map(float, range(20)), 0.5]


def test_a_column_that_is_null_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 50)
    rows = [{"id": i} for i in range(50)] + [{"id": 50, "x": None}, {"id": 51, "x": 5}, {"id": 52, "t": "late"}]
    columns = read(tmp_path, json_lines(rows), **FEATURE, text={"t": {"columns": "t"}})
    assert columns["id"] == list(range(53))
    assert columns["x"][-3:] == [None, 5.0, None]
    assert columns["t"][-3:] == [None, None, "late"]


def test_dates_stay_text_and_lists_may_be_empty(tmp_path: Path) -> None:
    rows = [{"id": "2020-01-01", "x": []}, {"id": "2020-01-02 10:00:00", "x": [1, 2]}]
    feature = {"features": {"x": {"column": "x", "encode": "multi_hot"}}}
    assert read(tmp_path, json_lines(rows), **feature) == {"id": [row["id"] for row in rows], "x": [[], [1, 2]]}


def test_lists_of_numbers_and_of_strings(tmp_path: Path) -> None:
    rows = [{"id": i, "x": [i, i + 0.5], "tags": ["ä", str(i)]} for i in range(3)]
    features = {"x": {"column": "x", "normalize": "none"}, "tags": {"column": "tags", "encode": "multi_hot"}}
    columns = read(tmp_path, json_lines(rows), features=features)
    assert columns == {name: [row[name] for row in rows] for name in ("id", "x", "tags")}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            b'{"id": "b"}\n{"id": 5}\n',
            "row 5: column 'id' must hold strings, as the first rows do (got 5). Correct the value",
        ),
        (
            b'\n{"id": "b", "x": "one"}\n',
            "row 4: column 'x' must hold numbers, as the first rows do (got 'one'). Correct the value",
        ),
        (
            b'{"id": "b"}\n\n["c"]\n',
            "row 5: a line must be a JSON object (got ['c']). Write one object a line",
        ),
        (
            b'{"id": "b", }\n',
            'row 4: a line must be a JSON object (got \'{"id": "b", }\': ',
        ),
        (
            b'{"id": "b"',
            'row 4: a line must be a JSON object (got \'{"id": "b"\': ',
        ),
    ],
)
@pytest.mark.parametrize("block", [30, 1 << 20])
def test_a_wrong_line_is_named(
    lines: bytes, told: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    content = json_lines([{"id": f"a{i}", "x": 1.5} for i in range(3)]) + lines
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/a.jsonl {told}")):
        read(tmp_path, content, **FEATURE)


def test_whole_numbers_of_ids_do_not_become_fractions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 30)
    content = json_lines([{"id": i} for i in range(10)] + [{"id": 10.5}])
    with pytest.raises(DataError, match=r"a.jsonl row 11: column 'id' must hold whole numbers, .* \(got 10.5\)"):
        read(tmp_path, content)


def test_an_array_in_one_line_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.jsonl row 1: a line must be a JSON object \(got \[\{'id': 1\}"):
        read(tmp_path, b'[{"id": 1}, {"id": 2}]')


def test_numbers_of_other_formats_meet_those_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(json_lines([{"id": "a", "x": 1}, {"id": "b", "x": 2.5}]))
    pa.parquet.write_table(pa.table({"id": ["c"], "x": pa.array([3], pa.int32())}), tmp_path / "b.parquet")
    problems = Problems()
    plan = plan_of(tmp_path, problems, files=["a.jsonl", "b.parquet"], **FEATURE)
    (table,) = stream_table(plan, problems)
    assert table.data.to_pydict() == {"id": ["a", "b", "c"], "x": [1.0, 2.5, 3.0]}
