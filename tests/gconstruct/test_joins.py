"""Node tables with columns of other tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import gconstruct
from gconstruct import build_graph, is_current
from gconstruct.problems import Problems
from gconstruct.spill.id_index import IdLookup
from gconstruct.tables import joins
from gconstruct.tables.read import read_piece, read_table, stream_table
from graphstorm_like.config.load import build_graph_config
from graphstorm_like.errors import ConfigError, DataError

from .readers.formats import plan_of, write_as
from .tables import graph, read, write

FEATURES: dict[str, Any] = {
    "features": {"x": "x", "stars": {"column": "stars", "missing": "zero", "normalize": "none"}},
    "text": {"t": {"columns": ["title", "review"]}},
    "labels": {"y": {"column": "class", "split": {"column": "part"}}},
}


def tables(folder: Path, **stars: Any) -> None:
    write(folder / "items.parquet", id=["a", "b", "c"], x=[1.0, 2.0, 3.0], title=["A", "B", "C"])
    write(
        folder / "reviews.csv", **{"item": ["c", "z", "a"], "stars": [3, 9, 1], "review": ["bad", "?", "good"], **stars}
    )
    write_as(folder / "classes.jsonl", id=["b", "c"], **{"class": ["u", "v"], "part": ["train", "test"]})


def joined(**options: Any) -> dict[str, Any]:
    join = [{"files": "reviews.csv", "id": "item"}, {"files": "classes.jsonl"}]
    return {"files": "items.parquet", "id": "id", "join": join, **FEATURES, **options}


def built(folder: Path, **options: Any) -> dict[str, list[Any]]:
    build_graph(graph(folder, {"item": joined(**options)}))
    columns: dict[str, list[Any]] = read(folder / "out/graph/part-0/nodes/item.arrow").to_pydict()
    return columns


def test_columns_of_several_tables_and_formats(tmp_path: Path) -> None:
    tables(tmp_path)
    columns = built(tmp_path)
    assert columns["id"] == ["a", "b", "c"]
    assert columns["feature:stars"] == [[1.0], [0.0], [3.0]]
    assert columns["text:t"] == ["A good", "B", "C bad"]
    assert columns["label:y"] == [-1, 0, 1]


def test_it_is_the_graph_of_one_table(tmp_path: Path) -> None:
    tables(tmp_path)
    several = built(tmp_path)
    write(
        tmp_path / "items.parquet",
        **{
            "id": ["a", "b", "c"], "x": [1.0, 2.0, 3.0], "title": ["A", "B", "C"], "stars": [1, None, 3],
            "review": ["good", None, "bad"], "class": [None, "u", "v"], "part": [None, "train", "test"],
        },
    )  # fmt: skip
    assert built(tmp_path, join=[]) == several


def test_streams_and_pieces_are_joined_too(tmp_path: Path) -> None:
    size = 1000
    write(tmp_path / "items.parquet", id=list(range(size)))
    write(tmp_path / "more.csv", id=list(reversed(range(0, size, 3))), x=list(range(0, size, 3)))
    problems = Problems()
    features = {"x": {"column": "x", "missing": "zero"}}
    plan = plan_of(tmp_path, problems, files="items.parquet", join=[{"files": "more.csv"}], features=features)
    whole = read_table(plan, problems)
    assert whole is not None
    streamed = list(stream_table(plan, problems, 70))
    assert pa.concat_tables([table.data for table in streamed]).equals(whole.data)
    pieces = [table.data for piece in plan.pieces for table in read_piece(plan, piece, problems)]
    assert pa.concat_tables(pieces).equals(whole.data)
    assert whole.data.column("x").to_pylist()[:4] == ["999", None, None, "996"]
    assert streamed[1].untyped("x")


def test_a_plan_with_fewer_columns(tmp_path: Path) -> None:
    tables(tmp_path)
    problems = Problems()
    plan = plan_of(tmp_path, problems, **joined())
    for names, read_columns in (
        (["title"], ["title"]),
        (["review"], ["id", "stars", "review"]),
        (["class", "x"], ["id", "x", "class", "part"]),
    ):
        table = read_table(plan.only(names), problems)
        assert table is not None
        assert table.data.schema.names == list(plan.only(names).columns)
        assert sorted(table.data.schema.names) == sorted(read_columns)
    problems.raise_if_any()


def test_a_changed_table_is_noticed(tmp_path: Path) -> None:
    tables(tmp_path)
    config = graph(tmp_path, {"item": joined()})
    build_graph(config)
    assert is_current(config)
    tables(tmp_path, stars=[5, 5, 5])
    assert not is_current(config)


def test_rows_of_messages_are_those_of_the_joined_table(tmp_path: Path) -> None:
    tables(tmp_path, stars=["3", "9", "many"])
    with pytest.raises(DataError, match=f"{tmp_path}/reviews.csv row 3: column 'stars' must be a number .got 'many'"):
        built(tmp_path)
    tables(tmp_path, stars=["3", "9", ""])
    with pytest.raises(DataError, match=re.escape("(got null; 2 such rows, also null in")) as caught:
        built(tmp_path, features={"stars": "stars"})
    assert f"{tmp_path}/reviews.csv row 3: column 'stars'" in str(caught.value)
    assert f"{tmp_path}/items.parquet row 2" in str(caught.value), "a node without a row"


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (
            ["a", "b", "a"],
            "reviews.csv row 3: column 'item' must be unique, for {tmp}/reviews.csv row 1 has the first of these ids "
            "already (got 'a'). Drop the rows or set graph.nodes.item.on_bad_id: skip",
        ),
        (
            ["a", None, "b"],
            "reviews.csv row 2: column 'item' must be non-null: it is the id (got null). "
            "Drop the rows or set graph.nodes.item.on_bad_id: skip",
        ),
    ],
)
def test_bad_ids(ids: list[Any], told: str, tmp_path: Path) -> None:
    tables(tmp_path, item=ids)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/{told}".replace("{tmp}", str(tmp_path)))):
        built(tmp_path)
    stars = built(tmp_path, on_bad_id="skip")["feature:stars"]
    assert stars[0] == [3.0], "the first row stays"


def told(folder: Path, join: dict[str, Any], **node: Any) -> str:
    with pytest.raises(DataError) as caught:
        build_graph(graph(folder, {"item": {"files": "items.parquet", "id": "id", "join": [join], **node}}))
    return str(caught.value).replace(str(folder), "{tmp}")


def test_ids_must_be_of_one_type_and_columns_in_one_table(tmp_path: Path) -> None:
    tables(tmp_path)
    write(tmp_path / "numbers.parquet", id=[1, 2], other=[1.0, 2.0])
    write(tmp_path / "twice.parquet", id=["a"], x=[1.0])
    assert "{tmp}/numbers.parquet: column 'id' must have ids of the same type as column 'id' of {tmp}/items" in told(
        tmp_path, {"files": "numbers.parquet"}
    )
    assert told(tmp_path, {"files": "twice.parquet"}, features={"x": "x"}) == (
        "graph.nodes.item.features.x: column 'x' must be in one of the joined tables (got {tmp}/items.parquet and "
        "{tmp}/twice.parquet). Rename it in one of them"
    )
    assert told(tmp_path, {"files": "twice.parquet", "id": "key"}) == (
        "graph.nodes.item.join[0].id: {tmp}/twice.parquet: unknown column 'key' (known: id, x)."
    )


def test_a_join_needs_tables() -> None:
    with pytest.raises(ConfigError, match="nodes.item: must have 'files' when it has join"):
        build_graph_config({"path": "p", "nodes": {"item": {"join": [{"files": "a.csv"}]}}})
    with pytest.raises(ConfigError, match=re.escape("nodes.item.join[0].files: must have at least 1 entry")):
        build_graph_config({"path": "p", "nodes": {"item": {"files": "a.csv", "id": "id", "join": [{"id": "x"}]}}})


def test_tables_in_memory(tmp_path: Path) -> None:
    node = {"table": {"id": [2, 1]}, "id": "id", "features": {"x": {"column": "x", "normalize": "none"}}}
    gconstruct.build(tmp_path / "g", {"item": {**node, "join": [{"table": {"id": [1, 2], "x": [10.0, 20.0]}}]}})
    assert read(tmp_path / "g/part-0/nodes/item.arrow").column("feature:x").to_pylist() == [[20.0], [10.0]]


def test_a_joined_table_is_indexed_once_for_all_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "items.parquet", id=[f"n{i}" for i in range(100)])
    write(tmp_path / "more.parquet", id=[f"n{i}" for i in range(99, 49, -1)], x=[float(i) for i in range(50)])
    made: list[IdLookup] = []

    class Counted(IdLookup):
        def __init__(self, ids: pa.Array) -> None:
            super().__init__(ids)
            made.append(self)

    monkeypatch.setattr(joins, "IdLookup", Counted)
    plan = plan_of(tmp_path, files="items.parquet", join=[{"files": "more.parquet"}], features={"x": "x"})
    values = [value for table in stream_table(plan, Problems(), 10) for value in table.data.column("x").to_pylist()]
    assert values == [None] * 50 + [float(i) for i in range(49, -1, -1)]
    assert len(made) == 1
