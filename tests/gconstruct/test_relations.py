"""A column that names the relation of each edge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph
from gconstruct.problems import Problems
from gconstruct.tables.plan import plan_tables
from gconstruct.tables.read import read_table, stream_table
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.load import build_graph_config
from graphstorm_like.errors import ConfigError, DataError

from .tables import graph, item, link, read, write

FACTS = {
    "source": ["a", "a", "b", "c", "c"],
    "kind": ["likes", "is a", "likes", "was a", "knows"],
    "target": ["b", "c", "c", "a", "b"],
    "weight": [1.0, 2.0, 3.0, 4.0, 5.0],
}
RELATIONS = {"likes": "likes", "is a": "kind_of", "was a": "kind_of", "knows": "knows"}


def facts(folder: Path, **changed: Any) -> None:
    write(folder / "items.parquet", id=["a", "b", "c"])
    write(folder / "facts.parquet", **{**FACTS, **changed})


def fact(**options: Any) -> dict[str, Any]:
    entry = link(files="facts.parquet", relation_column="kind", relations=RELATIONS, **options)
    del entry["relation"]
    return entry


def edges_of(folder: Path, relation: str) -> list[tuple[int, int]]:
    table = read(folder / f"out/graph/part-0/edges/item--{relation}--item.arrow")
    return sorted(zip(table.column("source").to_pylist(), table.column("target").to_pylist()))


def test_each_relation_is_an_edge_type(tmp_path: Path) -> None:
    facts(tmp_path)
    weight = {"weight": {"column": "weight", "normalize": "none"}}
    manifest = build_graph(graph(tmp_path, {"item": item()}, [fact(features=weight)]))
    assert [edge.edge_type[1] for edge in manifest.edges] == [
        "likes", "likes_rev", "kind_of", "kind_of_rev", "knows", "knows_rev",
    ]  # fmt: skip
    assert edges_of(tmp_path, "likes") == [(0, 1), (1, 2)]
    assert edges_of(tmp_path, "kind_of") == [(0, 2), (2, 0)]
    assert edges_of(tmp_path, "knows") == [(2, 1)]
    kind_of = read(tmp_path / "out/graph/part-0/edges/item--kind_of--item.arrow")
    assert sorted(kind_of.column("feature:weight").to_pylist()) == [[2.0], [4.0]]


def test_it_is_the_graph_of_one_table_a_relation(tmp_path: Path) -> None:
    facts(tmp_path)
    build_graph(graph(tmp_path, {"item": item()}, [fact()]))
    names = ("likes", "kind_of", "knows")
    together = {name: edges_of(tmp_path, name) for name in names}
    for name in names:
        rows = [i for i, kind in enumerate(FACTS["kind"]) if RELATIONS[str(kind)] == name]
        columns = {end: [FACTS[end][i] for i in rows] for end in ("source", "target")}
        write(tmp_path / f"{name}.parquet", **columns)
    edges = [link(files=f"{name}.parquet", relation=name) for name in names]
    build_graph(graph(tmp_path, {"item": item()}, edges))
    assert {name: edges_of(tmp_path, name) for name in names} == together


def test_integers_and_csv(tmp_path: Path) -> None:
    facts(tmp_path)
    write(tmp_path / "facts.csv", source=["a", "b"], kind=[7, 8], target=["b", "c"])
    write(tmp_path / "facts.parquet", source=["a"], kind=[7], target=["c"])
    entry = {**fact(), "files": ["facts.csv", "facts.parquet"], "relations": {"7": "seven", "8": "eight"}}
    build_graph(graph(tmp_path, {"item": item()}, [entry]))
    assert edges_of(tmp_path, "seven") == [(0, 1), (0, 2)]
    assert edges_of(tmp_path, "eight") == [(1, 2)]


def test_an_unknown_relation(tmp_path: Path) -> None:
    facts(tmp_path, kind=["likes", "hates", "likes", None, "knows"])
    told = (
        f"{tmp_path}/facts.parquet row 2: column 'kind' must be one of graph.edges[0].relations ('likes', 'is a', "
        "'was a', 'knows') (got 'hates'; 2 such rows, also null in row 4). "
        "Add it, or set graph.edges[0].on_unknown_relation: drop"
    )
    with pytest.raises(DataError, match=f"^{re.escape(told)}$"):
        build_graph(graph(tmp_path, {"item": item()}, [fact()]))
    manifest = build_graph(graph(tmp_path, {"item": item()}, [fact(on_unknown_relation="drop")]))
    assert manifest.dropped == {"edges.item:likes:item: unknown relation": 2}
    assert edges_of(tmp_path, "kind_of") == []


def test_rows_of_messages_are_those_of_the_file(tmp_path: Path) -> None:
    facts(tmp_path, target=["b", "c", "c", "x", "b"])
    write(tmp_path / "links.parquet", source=["a"], target=["y"])
    with pytest.raises(DataError) as caught:
        build_graph(graph(tmp_path, {"item": item()}, [fact(), link()]))
    message = str(caught.value)
    assert f"{tmp_path}/facts.parquet row 4: column 'target' must be the id of a node" in message
    assert "set graph.edges[0].on_unknown_node: drop or create" in message, "the entry of the YAML"
    assert "set graph.edges[1].on_unknown_node: drop or create" in message


def test_streams_select_rows_too(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a"])
    kinds = [str(i % 3) for i in range(100)]
    write(tmp_path / "facts.parquet", source=["a"] * 100, target=["a"] * 100, kind=kinds)
    entry = {**fact(), "relations": ["0", "1", "2"]}
    entry["relations"] = {"0": "r0", "1": "r1", "2": "r2"}
    _, plans = plan_tables(graph(tmp_path, {"item": item()}, [entry]), Problems())
    for i, plan in enumerate(plans):
        problems = Problems()
        whole = read_table(plan, problems)
        assert whole is not None
        places = [table.place(row)[1] for table in stream_table(plan, problems, 7) for row in range(len(table))]
        assert places == [whole.place(row)[1] for row in range(len(whole))] == list(range(i + 1, 101, 3))


def test_lists_of_edges_name_those_of_all_relations(tmp_path: Path) -> None:
    facts(tmp_path)
    (tmp_path / "valid.txt").write_text("a\tb\na\tc\n")
    (tmp_path / "test.txt").write_text("c\tb\n")
    split = {"valid": "valid.txt", "test": "test.txt"}
    manifest = build_graph(graph(tmp_path, {"item": item()}, [fact(split={**split, "on_unknown_id": "skip"})]))
    counts = {edge.edge_type[1]: edge.split_counts for edge in manifest.edges if not edge.is_reverse}
    assert counts == {
        "likes": {"none": 0, "train": 1, "valid": 1, "test": 0},
        "kind_of": {"none": 0, "train": 1, "valid": 1, "test": 0},
        "knows": {"none": 0, "train": 0, "valid": 0, "test": 1},
    }
    only = {**fact(split=split), "relations": {"knows": "knows"}, "on_unknown_relation": "drop"}
    (tmp_path / "valid.txt").write_text("")
    build_graph(graph(tmp_path, {"item": item()}, [only]))


def config(**options: Any) -> GraphConfig:
    entry = {"source": "a", "target": "b", "files": "f.csv", "relation_column": "kind", **options}
    other = {"source": "a", "relation": "other", "target": "b", "files": "g.csv"}
    return build_graph_config({"path": "p", "nodes": {"a": None, "b": None}, "edges": [entry, other]})


def test_one_entry_an_edge_type(tmp_path: Path) -> None:
    expanded = config(relations=["x", "y", "z"])
    assert [edge.relation for edge in expanded.edges] == ["x", "other", "y", "z"]
    assert [expanded.edge_key(i)[-3:] for i in range(4)] == ["[0]", "[1]", "[0]", "[0]"]
    assert GraphConfig.model_validate(expanded.model_dump()) == expanded, "a saved configuration is the same"
    edge = expanded.edge(("a", "z", "b"))
    assert edge is not None
    assert edge.relations == {"x": "x", "y": "y", "z": "z"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "graph: edges[0].relation: "),
        ({"relation": "x"}, "graph: edges[0].relations: must be given, because there is 'relation_column'"),
        ({"relations": []}, "graph: edges[0].relation: "),
        ({"relations": ["a b"]}, "graph: edges[0].relations"),
        (
            {"relations": ["x"], "relation": "y"},
            "graph: edges[0].relation: must be left out, because 'relations' names the relations",
        ),
        (
            {"relations": ["x", "y"], "reverse": "back"},
            "graph: edges[0].reverse: must be true or false for several relations: a name would stand for all",
        ),
        (
            {"relations": ["x", "y"], "split": {"valid": "v.txt", "test": "t.txt"}},
            "graph: edges[0].split: must have on_unknown_id: skip with 'relation_column' (got by: ids): the edges of "
            "one relation are only some of those that the lists name",
        ),
        (
            {"relations": ["x", "y"], "labels": {"z": {"column": "c", "split": {"valid": "v.txt", "test": "t.txt"}}}},
            "graph: edges[0].labels: z.split must have on_unknown_id: skip with 'relation_column'",
        ),
        ({"relations": ["x", "other"]}, "graph: edges[2]: must be a new edge type (got 'a:other:b'"),
    ],
)
def test_wrong_relations(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        config(**options)
