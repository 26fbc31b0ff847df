"""Whatever small heterogeneous graph the tables hold, the graph folder holds the same one: ids, attributes, edges."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.schema import SPLITS, read_manifest

from .partitioning import assert_same_graph, edge_rows, joined, node_rows
from .tables import write

NAMES = st.lists(st.sampled_from(["zoo", "Zoo", "a", "_b", "m.1", "m-1"]), min_size=1, max_size=3, unique=True)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6, unique=True),
    st.lists(WORDS, min_size=1, max_size=6, unique=True),
)
SPLIT = {"column": "split"}
ATTRIBUTES = {
    "features": {"x": {"column": "x", "normalize": "none"}},
    "text": {"t": {"columns": "t"}},
    "labels": {"y": {"column": "y", "split": SPLIT}},
}


@dataclass
class Tables:
    """ids: by node type. nodes: rows by type, of those with tables. edges: rows by (source, relation, target)."""

    ids: dict[str, list[Any]]
    nodes: dict[str, list[dict[str, Any]]]
    edges: dict[tuple[str, str, str], list[dict[str, Any]]]


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    """Of one row."""
    label, split = draw(st.sampled_from(["p", "q", None])), draw(st.sampled_from(["train", "valid", "test", None]))
    return {"x": draw(NUMBERS), "t": draw(st.none() | WORDS), "y": label, "split": split}


def with_a_label(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A column without any label is refused."""
    if rows and all(row["y"] is None for row in rows):
        rows[0]["y"] = "p"
    return rows


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    """One to three node types, one of them known from edges alone; up to four relations, also between the same pair."""
    ids = {name: draw(IDS) for name in draw(NAMES)}
    bare = set(draw(st.lists(st.sampled_from(sorted(ids)), max_size=1)))
    nodes, edges = {}, {}
    for node_type in [name for name in ids if name not in bare]:
        nodes[node_type] = with_a_label([{"id": each, **draw(attributes())} for each in ids[node_type]])
    for number in range(draw(st.integers(1 if bare else 0, 4))):
        source, target = draw(st.sampled_from(sorted(ids))), draw(st.sampled_from(sorted(ids)))
        ends = st.tuples(st.sampled_from(ids[source]), st.sampled_from(ids[target]))
        pairs = draw(st.lists(ends, max_size=8))
        rows = [{"source": s, "target": t, **draw(attributes())} for s, t in pairs]
        edges[source, f"r{draw(st.integers(0, 9))}-{number}", target] = with_a_label(rows)
    return Tables(ids, nodes, edges)


def column_type(name: str, like: list[Any]) -> pa.DataType:
    """Of a table's column; ids are like those of their node type."""
    if name == "x":
        return pa.float64()
    return pa.int64() if name in ("id", "source", "target") and isinstance(like[0], int) else pa.string()


def write_rows(path: Path, rows: list[dict[str, Any]], like: dict[str, list[Any]]) -> str:
    """A table; `like`: ids of the type that a column names."""
    names = [*like, "x", "t", "y", "split"]
    columns = {}
    for name in names:
        columns[name] = pa.array([row[name] for row in rows], column_type(name, like.get(name, [""])))
    return write(path, **columns).name


def config_of(made: Tables, folder: Path) -> GraphConfig:
    """Write the tables, those of nodes in two files."""
    nodes: dict[str, Any] = {}
    for number, (node_type, ids) in enumerate(made.ids.items()):
        rows, nodes[node_type] = made.nodes.get(node_type), None
        if rows is not None:
            parts = (rows[:2], rows[2:])
            files = [write_rows(folder / f"n{number}-{i}.parquet", p, {"id": ids}) for i, p in enumerate(parts)]
            nodes[node_type] = {"files": files, "id": "id", **ATTRIBUTES}
    edges = []
    for number, ((source, relation, target), rows) in enumerate(made.edges.items()):
        like = {"source": made.ids[source], "target": made.ids[target]}
        file = write_rows(folder / f"e{number}.parquet", rows, like)
        edges.append({"source": source, "relation": relation, "target": target, "files": file, **ATTRIBUTES})
    path = str(folder / "graph")
    return GraphConfig.model_validate({"path": path, "base": str(folder), "nodes": nodes, "edges": edges})


def read_back(row: dict[str, Any], classes: list[str]) -> tuple[Any, ...]:
    """Attributes of a row of the graph folder."""
    label = classes[row["label:y"]] if row["label:y"] >= 0 else None
    return row["feature:x"][0], row["text:t"] or "", label, SPLITS[row["split:y"]]


def given_row(row: dict[str, Any]) -> tuple[Any, ...]:
    """The same of a table. A null text is an empty one; a row without a label is in none of its splits."""
    split = row["split"] if row["y"] is not None else None
    return row["x"], row["t"] or "", row["y"], split or "none"


@given(tables())
@settings(max_examples=15, deadline=None)
def test_what_is_read_back_is_what_the_tables_hold(made: Tables) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = config_of(made, folder)
        manifest = build_graph(config)
        graph = folder / "graph"
        assert list(read_manifest(graph).nodes) == list(made.ids)
        for node_type, rows in made.nodes.items():
            classes = manifest.node(node_type).labels["y"].classes
            found = [(row["id"], read_back(row, classes)) for row in joined(node_rows(graph, node_type))]
            assert found == [(row["id"], given_row(row)) for row in rows]
        for edge_type, rows in made.edges.items():
            edge = manifest.edge(edge_type)
            assert edge.reverse is not None
            wanted = Counter((row["source"], row["target"], *given_row(row)[:2]) for row in rows)
            for found_type in (edge_type, edge.reverse):
                found = Counter[Any]()
                for row in joined(edge_rows(graph, found_type)):
                    ends = (row["source"], row["target"]) if found_type == edge_type else (row["target"], row["source"])
                    found[(*ends, row["feature:x"][0], row["text:t"] or "")] += 1
                assert found == wanted
            classes = edge.labels["y"].classes
            labels = Counter(read_back(row, classes) for row in joined(edge_rows(graph, edge_type)))
            assert labels == Counter(given_row(row) for row in rows)
        partitioned = config.model_copy(
            update={"path": str(folder / "two"), "partitions": config.partitions.model_copy(update={"count": 2})}
        )
        build_graph(partitioned)
        assert_same_graph(graph, folder / "two", 2)
