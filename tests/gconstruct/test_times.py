"""`time:` of tables: what the graph folder holds of it, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph
from gconstruct.encode_rows import encode_rows
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import TIME_COLUMN, always

LINK, LINK_REV = ("user", "buys", "item"), ("item", "buys_rev", "user")
DAY = 86_400_000_000
SECOND = 1_000_000


def config(folder: Path, at: Any, time: Any, born: Any = None, born_time: Any = None, **graph: Any) -> GraphConfig:
    """Three edges into two items. born: of items."""
    folder.mkdir(exist_ok=True)
    table = pa.table({"source": ["a", "b", "a"], "target": ["y", "x", "y"], "at": at})
    file = "buys.csv" if isinstance(time, dict) and time.pop("csv", False) else "buys.parquet"
    (csv.write_csv if file.endswith("csv") else pq.write_table)(table, folder / file)
    item: dict[str, Any] = {}
    if born is not None:
        pq.write_table(pa.table({"id": ["x", "y"], "born": born}), folder / "item.parquet")
        item = {"files": "item.parquet", "id": "id", "time": born_time}
    edge = {"source": "user", "relation": "buys", "target": "item", "files": file}
    if time is not None:
        edge["time"] = time
    data = {"path": str(folder / "graph"), "base": str(folder), "nodes": {"user": {}, "item": item}, "edges": [edge]}
    return GraphConfig.model_validate(data | graph)


def times(folder: Path, edge_type: tuple[str, str, str] = LINK) -> dict[tuple[str, str], list[Any]]:
    """Of the edges between two ids."""
    graph = LocalGraph(folder)
    source, target = graph.edges(edge_type)
    ends = graph.ids_of(edge_type[0], source).to_pylist(), graph.ids_of(edge_type[2], target).to_pylist()
    found: dict[tuple[str, str], list[Any]] = {}
    for near, far, at in zip(*ends, graph.column((edge_type, TIME_COLUMN)).tolist(), strict=True):
        found.setdefault((near, far), []).append(at)
    return found


@pytest.mark.parametrize(
    ("at", "time", "wanted"),
    [
        ([date(1970, 1, 2), date(1970, 1, 4), date(1969, 12, 31)], "at", [DAY, 3 * DAY, -DAY]),
        (["1970-01-02", "1970-01-01T00:00:01Z", "1970-01-01 01:00:00+01:00"], {"column": "at"}, [DAY, SECOND, 0]),
        ([1, 2, 3], {"column": "at", "unit": "s"}, [SECOND, 2 * SECOND, 3 * SECOND]),
        ([1, 2, 3], {"column": "at", "unit": "s", "csv": True}, [SECOND, 2 * SECOND, 3 * SECOND]),
        ([0.5, 2.0, -3.0], {"column": "at", "unit": "number"}, [0.5, 2.0, -3.0]),
        ([1, 2, 3], {"column": "at", "unit": "number"}, [1.0, 2.0, 3.0]),
        ([1, 2, 3], {"column": "at", "unit": "number", "csv": True}, [1.0, 2.0, 3.0]),
        ([1.0, None, 3.0], {"column": "at", "unit": "number", "missing": "first"}, [1.0, -np.inf, 3.0]),
        ([None, 1, 2], {"column": "at", "unit": "d", "missing": "first"}, [-(2**63), DAY, 2 * DAY]),
    ],
)
def test_columns(tmp_path: Path, at: list[Any], time: Any, wanted: list[Any]) -> None:
    made = build_graph(config(tmp_path, at, time))
    kind = "number" if isinstance(wanted[0], float) else "moment"
    assert [edge.time.kind for edge in made.edges if edge.time is not None] == [kind, kind]
    assert times(tmp_path / "graph") == {("a", "y"): [wanted[0], wanted[2]], ("b", "x"): [wanted[1]]}
    assert times(tmp_path / "graph", LINK_REV) == {("y", "a"): [wanted[0], wanted[2]], ("x", "b"): [wanted[1]]}
    assert LocalGraph(tmp_path / "graph").column((LINK, TIME_COLUMN)).dtype == (
        np.float64 if kind == "number" else np.int64
    )


@pytest.mark.parametrize(
    ("at", "time", "said"),
    [
        ([1, 2, 3], "at", r"column 'at' must hold dates, times, or strings in ISO 8601 \(got int64\)\. Set unit"),
        (["1970-01-01", None, "1970-01-01"], "at", r"row 2: column 'at' must be a time \(got null\).*missing: first"),
        (["1970-01-01", "soon", "1970-01-01"], "at", r"row 2: column 'at' must be a date in ISO 8601.*got 'soon'"),
        ([1.0, float("nan"), 2.0], {"column": "at", "unit": "number"}, r"row 2: column 'at' must be a time"),
        ([1, 2, 3], {"column": "when", "unit": "s"}, r"graph\.edges\[0\]\.time: .*unknown column 'when'"),
    ],
)
def test_what_is_refused(tmp_path: Path, at: list[Any], time: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        build_graph(config(tmp_path, at, time))


def test_edges_are_not_there_before_their_nodes(tmp_path: Path) -> None:
    number = {"column": "born", "unit": "number"}
    build_graph(config(tmp_path, [1, 2, 8], {"column": "at", "unit": "number"}, [1.5, 5.0], number))
    assert times(tmp_path / "graph") == {("a", "y"): [5.0, 8.0], ("b", "x"): [2.0]}
    assert times(tmp_path / "graph", LINK_REV) == {("y", "a"): [5.0, 8.0], ("x", "b"): [2.0]}


def test_edges_without_a_time_have_that_of_their_nodes(tmp_path: Path) -> None:
    number = {"column": "born", "unit": "number"}
    made = build_graph(config(tmp_path, [0, 0, 0], None, [1.5, 5.0], number))
    assert [edge.time.of_nodes for edge in made.edges if edge.time is not None] == [True, True]
    assert times(tmp_path / "graph") == {("a", "y"): [5.0, 5.0], ("b", "x"): [1.5]}


def test_nodes_that_edges_add_were_always_there(tmp_path: Path) -> None:
    made = config(tmp_path, [1, 2, 8], None, [1.5, 5.0], {"column": "born", "unit": "number"})
    edge = made.edges[0].model_copy(update={"on_unknown_node": "create"})
    pq.write_table(pa.table({"source": ["a"], "target": ["z"], "at": [1]}), tmp_path / "buys.parquet")
    build_graph(made.model_copy(update={"edges": [edge]}))
    graph = LocalGraph(tmp_path / "graph")
    assert dict(zip(graph.ids("item").to_pylist(), graph.column(("item", TIME_COLUMN)).tolist(), strict=True)) == {
        "x": 1.5,
        "y": 5.0,
        "z": always(np.float64),
    }
    assert times(tmp_path / "graph") == {("a", "z"): [-np.inf]}


def test_partitions_keep_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "tables"
    folder.mkdir()
    pairs = [[f"{side}{i}" for i in rng.integers(20, size=200)] for side in "st"]
    pq.write_table(pa.table({"source": pairs[0], "target": pairs[1], "at": np.arange(200.0)}), folder / "buys.parquet")
    edge = {"source": "user", "relation": "buys", "target": "item", "files": "buys.parquet"}
    edge["time"] = {"column": "at", "unit": "number"}  # type: ignore[assignment]
    data = {"path": str(tmp_path / "one"), "base": str(folder), "nodes": {"user": {}, "item": {}}, "edges": [edge]}
    build_graph(GraphConfig.model_validate(data))
    partition_graph(tmp_path / "one", tmp_path / "three", 3)
    for edge_type in (LINK, LINK_REV):
        assert times(tmp_path / "one", edge_type) == times(tmp_path / "three", edge_type)
    assert sum(map(len, times(tmp_path / "three").values())) == 200


def test_another_table_must_have_it_too(tmp_path: Path) -> None:
    """`like` and `add_to` ask for the same kind, and new rows are encoded with it."""
    number = {"column": "at", "unit": "number"}
    build_graph(config(tmp_path / "a", [1, 2, 8], dict(number)))
    known = str(tmp_path / "a" / "graph")
    new = config(tmp_path / "b", [3, 4, 5], dict(number), like=known)
    assert encode_rows(new).edges[LINK].columns[TIME_COLUMN].tolist() == [3.0, 4.0, 5.0]
    build_graph(config(tmp_path / "c", [3, 4, 5], dict(number), add_to=known))
    assert times(tmp_path / "c" / "graph") == {("a", "y"): [1.0, 8.0, 3.0, 5.0], ("b", "x"): [2.0, 4.0]}
    for time, got in ((None, "none"), ({"column": "at", "unit": "s"}, "moment")):
        with pytest.raises(DataError, match=rf"graph\.edges\[0\]\.time: must be a number \(got {got}\)"):
            build_graph(config(tmp_path / "d", [3, 4, 5], time, add_to=known))


def test_times_of_nodes_and_edges_are_of_one_kind(tmp_path: Path) -> None:
    number = {"column": "born", "unit": "number"}
    mixed = config(tmp_path, [1, 2, 3], {"column": "at", "unit": "s"}, [1.0, 2.0], number)
    with pytest.raises(DataError, match=r"times must be of one kind \(got item: number, user:buys:item: moment\)"):
        build_graph(mixed)
