"""New tables with the state of an existing graph (graph.like), and tables that add to one (graph.add_to)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gconstruct import build_graph, is_current
from gconstruct.opened import GraphFiles
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import GraphManifest, read_manifest

from .tables import write

KINDS = ["tea", "mug", "pot"]
LINK = ("item", "link", "item")
BUY = ("user", "buys", "item")


def tables(folder: Path, items: list[int], links: list[tuple[int, int]], buys: list[tuple[str, int]] = ()) -> Path:
    """Tables of a shop; users have no table of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    write(
        folder / "items.parquet",
        id=pa.array(items, pa.int64()),
        price=pa.array([float(i % 7) for i in items], pa.float64()),
        kind=pa.array([KINDS[i % 3] for i in items], pa.large_string()),
        title=pa.array([f"the {KINDS[i % 3]} number {i}" for i in items], pa.large_string()),
    )
    sources, targets = ([pair[end] for pair in links] for end in (0, 1))
    write(
        folder / "links.parquet",
        source=pa.array(sources, pa.int64()),
        target=pa.array(targets, pa.int64()),
        weight=pa.array([float(s) for s in sources], pa.float64()),
    )
    users, bought = ([pair[end] for pair in buys] for end in (0, 1))
    write(folder / "buys.parquet", source=pa.array(users, pa.large_string()), target=pa.array(bought, pa.int64()))
    return folder


def config(folder: Path, **changes: Any) -> GraphConfig:
    split = {"train": 0.6, "valid": 0.2, "test": 0.2}
    values = {
        "path": str(folder / "graph"),
        "base": str(folder),
        "nodes": {
            "user": None,
            "item": {
                "files": "items.parquet",
                "id": "id",
                "features": {"price": "price", "kind": {"encode": "one_hot", "column": "kind"}},
                "text": {"title": {"columns": "title"}},
                "labels": {"kind": {"column": "kind", "split": split}},
            },
        },
        "edges": [
            {
                **dict(zip(("source", "relation", "target"), LINK, strict=True)),
                "files": "links.parquet",
                "features": {"weight": "weight"},
                "split": split,
            },
            {**dict(zip(("source", "relation", "target"), BUY, strict=True)), "files": "buys.parquet"},
        ],
        **changes,
    }
    return GraphConfig.model_validate(values)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Items 0 to 19."""
    links = [(i, (i * 3 + 1) % 20) for i in range(20)] + [(4, 13), (4, 13)]
    folder = tables(tmp_path / "old", list(range(20)), links, [("ann", 3), ("bob", 4), ("ann", 4)])
    build_graph(config(folder))
    return folder / "graph"


def rows_of(folder: Path, what: str | tuple[str, str, str]) -> dict[str, Any]:
    files = GraphFiles(folder, read_manifest(folder).partitions)
    return dict((files.nodes(what) if isinstance(what, str) else files.edges(what)).whole())


def edges_by_id(folder: Path, edge_type: tuple[str, str, str]) -> list[tuple[Any, ...]]:
    """(source id, target id, weight, split), sorted"""
    edges = rows_of(folder, edge_type)
    sources, targets = (rows_of(folder, edge_type[end])["id"] for end in (0, 2))
    ids = [np.asarray(i)[edges[end]].tolist() for i, end in ((sources, "source"), (targets, "target"))]
    others = [edges[name].reshape(-1).tolist() for name in ("feature:weight", "split") if name in edges]
    return sorted(zip(*ids, *others, strict=True))


def test_new_tables_get_the_state_of_the_graph(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "new", [1, 100, 4], [(1, 4)], [("cid", 1)])
    new = build_graph(config(folder, like=str(old)))
    known = read_manifest(old)
    assert new.nodes["item"].features == known.nodes["item"].features
    assert new.nodes["item"].labels["kind"].classes == known.nodes["item"].labels["kind"].classes
    before, after = rows_of(old, "item"), rows_of(folder / "graph", "item")
    for name in ("feature:price", "feature:kind", "label:kind", "split:kind"):
        np.testing.assert_array_equal(before[name][[1, 4]], after[name][[0, 2]])
    assert new.nodes["item"].count == 3
    assert rows_of(folder / "graph", "user")["id"].to_pylist() == ["cid"]


def test_new_tables_need_no_labels_and_may_name_their_columns_otherwise(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "new", [1, 2], [], [])
    write(folder / "items.parquet", id=[1, 2], cost=[1.0, 2.0], kind=["tea", "never seen"], title=["a", "b"])
    values = config(folder, like=str(old)).model_dump()
    values["nodes"]["item"]["labels"] = {}
    values["nodes"]["item"]["features"]["price"]["column"] = "cost"
    new = build_graph(GraphConfig.model_validate(values))
    rows, known = rows_of(folder / "graph", "item"), rows_of(old, "item")
    np.testing.assert_array_equal(rows["feature:price"], known["feature:price"][[1, 2]])
    assert rows["feature:kind"][1].tolist() == [0.0, 0.0, 0.0]
    assert new.nodes["item"].labels == {}
    assert new.nodes["item"].features["price"].fitted["column"] == "cost"


def test_added_rows_come_after_those_of_the_graph(tmp_path: Path, old: Path) -> None:
    links = [(100, 2), (2, 101), (100, 101)]
    folder = tables(tmp_path / "more", [100, 101], links, [("ann", 100), ("aaa", 2)])
    grown = build_graph(config(folder, add_to=str(old)))
    before, after = rows_of(old, "item"), rows_of(folder / "graph", "item")
    assert grown.nodes["item"].count == 22
    assert grown.nodes["item"].features == read_manifest(old).nodes["item"].features
    assert after["id"].tolist() == [*range(20), 100, 101]
    for name in ("feature:price", "feature:kind", "label:kind", "split:kind"):
        np.testing.assert_array_equal(before[name], after[name][:20])
    assert after["text:title"].to_pylist()[:20] == before["text:title"].to_pylist()
    assert rows_of(folder / "graph", "user")["id"].to_pylist() == ["ann", "bob", "aaa"]
    like = tables(tmp_path / "like", [100, 101], [], [])
    build_graph(config(like, like=str(old)))
    for name in ("feature:price", "feature:kind", "label:kind", "split:kind"):
        np.testing.assert_array_equal(rows_of(like / "graph", "item")[name], after[name][20:])
    added = [edge for edge in edges_by_id(folder / "graph", LINK) if edge not in edges_by_id(old, LINK)]
    assert [edge[:2] for edge in added] == sorted(links)
    assert len(edges_by_id(folder / "graph", LINK)) == 22 + 3
    counts = grown.edge(LINK).split_counts
    assert counts is not None
    assert sum(counts.values()) == 25
    assert sum(grown.nodes["item"].labels["kind"].counts.values()) == 22
    reverse = rows_of(folder / "graph", ("item", "link_rev", "item"))
    assert len(reverse["source"]) == 25


def test_what_is_added_twice_is_what_is_added_at_once(tmp_path: Path, old: Path) -> None:
    first = tables(tmp_path / "first", [30, 31], [(30, 1), (1, 31)], [("zoe", 30)])
    build_graph(config(first, add_to=str(old)))
    second = tables(tmp_path / "second", [32], [(32, 30), (2, 3)], [("zoe", 32), ("yan", 1)])
    build_graph(config(second, add_to=str(first / "graph")))
    both = tables(
        tmp_path / "both", [30, 31, 32], [(30, 1), (1, 31), (32, 30), (2, 3)],
        [("zoe", 30), ("zoe", 32), ("yan", 1)],
    )  # fmt: skip
    build_graph(config(both, add_to=str(old)))
    assert edges_by_id(second / "graph", LINK) == edges_by_id(both / "graph", LINK)
    assert edges_by_id(second / "graph", BUY) == edges_by_id(both / "graph", BUY)
    step, once = rows_of(second / "graph", "item"), rows_of(both / "graph", "item")
    for name in ("id", "feature:price", "feature:kind", "label:kind", "split:kind"):
        np.testing.assert_array_equal(step[name], once[name])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(3, 11), st.data())
def test_any_cut_of_the_tables_gives_the_same_edges(
    tmp_path_factory: pytest.TempPathFactory, cut: int, data: st.DataObject
) -> None:
    ends = st.tuples(st.integers(0, 11), st.integers(0, 11))
    links = data.draw(st.lists(ends, min_size=1, max_size=20))
    early = [pair for pair in links if max(pair) < cut]
    late = [pair for pair in links if max(pair) >= cut]
    root = tmp_path_factory.mktemp("cut")
    build_graph(config(tables(root / "a", list(range(cut)), early)))
    build_graph(config(tables(root / "b", list(range(cut, 12)), late), add_to=str(root / "a" / "graph")))
    build_graph(config(tables(root / "all", list(range(12)), links)))
    grown, whole = (rows_of(root / name / "graph", "item") for name in ("b", "all"))
    assert grown["id"].tolist() == whole["id"].tolist()
    np.testing.assert_array_equal(grown["split:kind"], whole["split:kind"])
    ends_of = [[edge[:2] for edge in edges_by_id(root / name / "graph", LINK)] for name in ("b", "all")]
    assert ends_of[0] == ends_of[1]


def test_a_graph_in_partitions_can_be_added_to_and_the_result_be_partitioned(tmp_path: Path, old: Path) -> None:
    parts = tmp_path / "parts"
    partition_graph(old, parts, 3)
    folder = tables(tmp_path / "more", [100, 101], [(100, 2)], [("ann", 100)])
    grown = build_graph(config(folder, add_to=str(parts), partitions={"count": 2}))
    assert len(grown.partitions) == 2
    links = edges_by_id(folder / "graph", LINK)
    assert [edge for edge in links if edge[0] < 100] == edges_by_id(old, LINK)


def test_the_grown_graph_is_up_to_date_until_the_old_one_changes(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "more", [100], [(100, 2)], [])
    grown = config(folder, add_to=str(old))
    build_graph(grown)
    assert is_current(grown)
    tables(tmp_path / "old", list(range(21)), [(1, 2)], [("ann", 3)])
    build_graph(config(tmp_path / "old"))
    assert not is_current(grown)


def refusal(changed: GraphConfig) -> str:
    with pytest.raises(DataError) as refused:
        build_graph(changed)
    return str(refused.value)


def changed(folder: Path, old: Path, change: Any, how: str = "like") -> GraphConfig:
    values = config(folder, **{how: str(old)}).model_dump()
    change(values)
    return GraphConfig.model_validate(values)


def test_what_the_state_does_not_fit_is_named_all_at_once(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "new", [1], [], [])

    def change(values: dict[str, Any]) -> None:
        features = values["nodes"]["item"]["features"]
        features["prise"] = features.pop("price")
        features["kind"]["max_categories"] = 2
        values["nodes"]["shop"] = {}
        values["edges"][0]["reverse"] = False
        del values["edges"][1]

    message = refusal(changed(folder, old, change))
    assert "unknown feature 'prise' (known: kind, price). Did you mean 'price'?" in message
    assert "graph.nodes.item.features: must have the feature 'price'" in message
    assert "graph.nodes.item.features.kind.max_categories: must be 256 (got 2), as in " in message
    assert "unknown node type 'shop' (known: item, user)" in message
    assert "graph.edges[0].reverse: must make the reverse edge type" in message
    assert "must have the edge type 'user:buys:item'" in message
    assert not (folder / "graph").exists()


def test_classes_that_the_graph_does_not_have_are_named(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "new", [1, 2], [], [])
    write(folder / "items.parquet", id=[1, 2], price=[1.0, 2.0], kind=["tea", "jug"], title=["a", "b"])
    message = refusal(config(folder, like=str(old)))
    assert "items.parquet row 2: column 'kind' must be a class that graph.nodes.item.labels.kind has" in message
    assert "got 'jug'" in message


def test_an_id_that_the_graph_has_already_is_named_or_left_out(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "more", [100, 7], [(100, 7)], [])
    message = refusal(config(folder, add_to=str(old)))
    assert "items.parquet row 2: column 'id' must be new" in message
    assert "got 7" in message

    def skip(values: dict[str, Any]) -> None:
        values["nodes"]["item"]["on_bad_id"] = "skip"

    grown: GraphManifest = build_graph(changed(folder, old, skip, "add_to"))
    assert grown.nodes["item"].count == 21
    assert grown.dropped == {"nodes.item: id of the graph already": 1}


def test_ids_of_csv_tables_take_the_type_that_they_have_in_the_graph(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "more", [100], [], [])
    write(folder / "links.csv", source=["100"], target=["2"], weight=["1.5"])
    (folder / "links.parquet").unlink()

    def csv(values: dict[str, Any]) -> None:
        values["edges"][0]["files"] = ["links.csv"]

    build_graph(changed(folder, old, csv, "add_to"))
    assert (100, 2) in [edge[:2] for edge in edges_by_id(folder / "graph", LINK)]
    strings = tables(tmp_path / "strings", [100], [], [])
    write(strings / "items.parquet", id=["x"], price=[1.0], kind=["tea"], title=["a"])
    assert "int64" in refusal(config(strings, add_to=str(old)))


@pytest.mark.parametrize("key", ["like", "add_to"])
def test_the_graph_must_be_there_and_be_another_one(tmp_path: Path, old: Path, key: str) -> None:
    folder = tables(tmp_path / "new", [1], [], [])
    assert "must be a graph folder" in refusal(config(folder, **{key: str(tmp_path / "nowhere")}))
    own = config(folder, **{key: str(old), "path": str(old)})
    assert f"graph.path: must be another folder than graph.{key}" in refusal(own)
    with pytest.raises(ValueError, match="must be left out when 'add_to' is given"):
        config(folder, like=str(old), add_to=str(old))


def test_an_edge_that_the_graph_has_already_is_a_repeated_one(tmp_path: Path, old: Path) -> None:
    folder = tables(tmp_path / "more", [100], [(4, 13), (100, 4), (100, 4), (100, 5)], [])

    def drop(values: dict[str, Any]) -> None:
        values["edges"][0]["on_repeated_edge"] = "drop"

    def refuse(values: dict[str, Any]) -> None:
        values["edges"][0]["on_repeated_edge"] = "error"

    message = refusal(changed(folder, old, refuse, "add_to"))
    assert "links.parquet row 1" in message
    assert "2 such rows" in message
    grown = build_graph(changed(folder, old, drop, "add_to"))
    assert grown.dropped == {"edges.item:link:item: repeated edge": 2}
    assert grown.edge(LINK).count == 22 + 2, "the repeated edges of the old graph stay"


def test_a_graph_with_hard_negatives_cannot_be_added_to(tmp_path: Path, old: Path) -> None:
    manifest = read_manifest(old)
    edges = [edge.model_copy(update={"hard_negatives": 2}) for edge in manifest.edges]
    (old / "graph.json").write_text(manifest.model_copy(update={"edges": edges}).model_dump_json())
    folder = tables(tmp_path / "more", [100], [(100, 4)], [])
    assert "graph.edges[0]: cannot be added to (got hard negatives" in refusal(config(folder, add_to=str(old)))


def test_added_rows_may_lack_labels_and_splits(tmp_path: Path, old: Path) -> None:
    def unlabelled(values: dict[str, Any]) -> None:
        values["nodes"]["item"]["labels"] = {}
        del values["edges"][0]["split"]

    folder, known = tables(tmp_path / "more", [100, 101], [(100, 7)]), read_manifest(old)
    grown = build_graph(changed(folder, old, unlabelled, "add_to"))
    before, after = known.nodes["item"], grown.nodes["item"]
    assert after.count == before.count + 2
    assert after.labels["kind"] == before.labels["kind"]
    link = grown.edge(LINK)
    assert link.split_counts == known.edge(LINK).split_counts | {"none": known.edge(LINK).split_counts["none"] + 1}
    rows = GraphFiles(folder / "graph", grown.partitions).nodes("item")
    assert rows.numbers("label:kind")[-2:].tolist() == [-1, -1]
    assert rows.numbers("split:kind")[-2:].tolist() == [0, 0]
