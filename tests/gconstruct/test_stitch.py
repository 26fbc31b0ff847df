"""Stitching two graph folders: what is added, and what stays as it is."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.stitching import read_report, stitch
from gconstruct.stitching.neighbourhood import draw_each, match
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import read_manifest

from .stitching import (
    DEPENDS,
    KEEPS,
    ONE_HOP,
    OUT,
    Pairs,
    _build,
    added,
    application,
    assert_whole,
    config,
    corpus,
    ids,
)
from .tables import write


def test_one_hop(both: Path) -> None:
    """Edges at aligned nodes, either way round; p -> q lies between two nodes of the last hop."""
    stitch(config(both))
    assert ids(both / OUT) == {
        "item": ["a", "b", "c", "d"],
        "corpus_package": ["p", "q"],
        "corpus_person": ["m1"],
    }
    assert added(both / OUT) == ONE_HOP


def test_times_come_along(tmp_path: Path) -> None:
    application(tmp_path / "app")
    corpus(tmp_path / "corpus", timed=True)
    stitch(config(tmp_path))
    graph = LocalGraph(tmp_path / OUT)
    assert graph.column(("corpus_package", "time")).tolist() == [float(ord("p")), float(ord("q"))]
    edge_type = ("corpus_package", "corpus_depends", "item")
    assert graph.column((edge_type, "time")).tolist() == [float(ord("q"))]  # q -> b: not before q
    assert graph.manifest.edge(("item", "link", "item")).time is None


def test_two_hops(both: Path) -> None:
    stitch(config(both, hops=2))
    assert ids(both / OUT)["corpus_package"] == ["p", "q", "r"]
    assert ids(both / OUT)["corpus_person"] == ["m1", "m2"]
    assert added(both / OUT) == {
        **ONE_HOP,
        "corpus_package:corpus_depends:corpus_package": [("p", "q"), ("p", "r")],
        "corpus_person:corpus_keeps:corpus_package": [("m1", "p"), ("m2", "p")],
    }


def test_enough_hops_take_all_that_is_connected(both: Path) -> None:
    stitch(config(both, hops=9, copies_of_split_edges="keep"))
    assert sorted(p for n, found in added(both / OUT).items() if "depends" in n for p in found) == sorted(DEPENDS)
    assert sorted(p for n, found in added(both / OUT).items() if "keeps" in n for p in found) == sorted(KEEPS)


def test_corpus_nodes_keep_text_and_features_but_no_labels(both: Path) -> None:
    manifest = stitch(config(both))
    node = manifest.node("corpus_package")
    assert (list(node.features), list(node.text), node.labels) == (["u", "v"], ["name"], {})
    graph, whole = LocalGraph(both / OUT), LocalGraph(both / "corpus/graph")
    assert graph.text("corpus_package", "name").to_pylist() == ["t-p", "t-q"]
    rows = [whole.ids("package").to_pylist().index(i) for i in "pq"]
    assert graph.feature("corpus_package", "u").tolist() == whole.feature("package", "u")[rows].tolist()
    columns = graph.parts[0]._of_type("corpus_package").schema.names
    assert columns == ["id", "feature:u", "feature:v", "text:name"]
    assert graph.parts[0]._of_type(("item", "corpus_depends", "item")).schema.names == [
        "source",
        "target",
        "feature:weight",
    ]


def test_edge_features_stay_with_their_edges_both_ways(both: Path) -> None:
    stitch(config(both, hops=9, copies_of_split_edges="keep"))
    graph = LocalGraph(both / OUT)
    checked = 0
    for edge in graph.manifest.edges:
        if "depends" not in edge.edge_type[1]:
            continue
        source, target = graph.edges(edge.edge_type)
        near, far = (graph.ids(t).to_pylist() for t in (edge.edge_type[0], edge.edge_type[2]))
        weights = graph.parts[0]._of_type(edge.edge_type).column("feature:weight").flatten().to_pylist()
        for s, t, weight in zip(source, target, weights):
            first, last = (far[t], near[s]) if edge.is_reverse else (near[s], far[t])
            assert weight == float(ord(first) + 1000 * ord(last))
            checked += 1
    assert checked == 2 * len(DEPENDS)


def test_the_application_stays_and_reverses_agree(both: Path) -> None:
    stitch(config(both, hops=2))
    assert_whole(both / "app/graph", both / OUT)
    names = read_manifest(both / OUT).edge_names()
    assert "corpus_package:corpus_depends_rev:item" in names
    assert not [name for name in names if "keeps_rev" in name]  # the corpus has none either


# --------------------------------------------------------------------------------------------------------- leaks


@pytest.mark.parametrize(
    ("how", "kept", "left_out"),
    [
        ("leave_out", [("a", "c")], {"held_out": 2, "train": 1}),
        ("leave_out_held_out", [("a", "c"), ("b", "a")], {"held_out": 2}),
        ("keep", [("a", "c"), ("b", "a"), ("b", "c"), ("c", "b")], {}),
    ],
)
def test_copies_of_edges_with_a_split(both: Path, how: str, kept: Pairs, left_out: dict[str, int]) -> None:
    manifest = stitch(config(both, copies_of_split_edges=how))
    assert added(both / OUT)["item:corpus_depends:item"] == kept
    assert read_report(both / OUT)["left_out"] == left_out
    assert manifest.dropped == {f"corpus edges: repeat {k} edges": n for k, n in left_out.items()}


def test_relations_can_be_left_out_by_either_name(both: Path) -> None:
    stitch(config(both, leave_out=["package:depends_rev:package"]))
    assert list(added(both / OUT)) == ["corpus_person:corpus_keeps:item"]
    stitch(config(both, edge_types=["package:depends_rev:package"]))
    assert {name.split(":")[1] for name in added(both / OUT)} == {"corpus_depends"}


# --------------------------------------------------------------------------------------------------- alignment


def test_by_text(tmp_path: Path) -> None:
    """Two packages are called n-b and two items n-c: nobody can tell which is which. Nulls are nobody's name."""
    app = tmp_path / "app"
    application(app)
    table = {"name": ["n-a", "n-b", "n-c", "n-c"]}
    write(app / "items.parquet", id=list("wxyz"), kind=list("xyxy"), split=["train"] * 4, size=[1.0] * 4, **table)
    write(app / "links.parquet", source=["w"], target=["x"], split=["train"])
    item = {"files": "items.parquet", "id": "id", "text": {"name": {"columns": "name"}}}
    _build(app, {"item": item}, [{"source": "item", "relation": "link", "target": "item", "files": "links.parquet"}])
    corpus(tmp_path / "corpus", names=[None, "n-b", "n-a", "n-b", "n-c", None, "else"])
    align = {"item": {"corpus": "package", "application_key": "name", "corpus_key": "name"}}
    stitch(config(tmp_path, align=align))
    assert read_report(tmp_path / OUT)["aligned"] == {
        "item": {"corpus": "package", "nodes": 4, "aligned": 1, "ambiguous": 3, "rate": 0.25}
    }
    assert added(tmp_path / OUT)["item:corpus_depends:corpus_package"] == [("w", "c"), ("w", "p")]


def test_an_id_against_a_text(tmp_path: Path) -> None:
    application(tmp_path / "app")
    corpus(tmp_path / "corpus", names=list("abcdxyz"))
    stitch(config(tmp_path, align={"item": {"corpus": "package", "corpus_key": "name"}}))
    assert read_report(tmp_path / OUT)["aligned"]["item"]["aligned"] == 4


def test_two_types_of_one_corpus_type(tmp_path: Path) -> None:
    """Each corpus node stands for one node: what two types claim is nobody's."""
    app = tmp_path / "app"
    app.mkdir()
    write(app / "one.parquet", id=["a", "b"])
    write(app / "two.parquet", id=["b", "c"])
    write(app / "ties.parquet", source=["a"], target=["c"], split=["valid"])
    nodes = {name: {"files": f"{name}.parquet", "id": "id"} for name in ("one", "two")}
    tie = {"source": "one", "relation": "tie", "target": "two", "files": "ties.parquet", "split": {"column": "split"}}
    _build(app, nodes, [tie])
    corpus(tmp_path / "corpus", depends=[("a", "c"), ("c", "a"), ("b", "a"), ("c", "p")])
    stitch(config(tmp_path, align={name: {"corpus": "package"} for name in nodes}))
    aligned = read_report(tmp_path / OUT)["aligned"]
    assert {name: (entry["aligned"], entry["ambiguous"]) for name, entry in aligned.items()} == {
        "one": (1, 1),
        "two": (1, 1),
    }
    assert added(tmp_path / OUT) == {
        "corpus_package:corpus_depends:one": [("b", "a")],
        "two:corpus_depends:corpus_package": [("c", "p")],
        "corpus_person:corpus_keeps:one": [("m1", "a")],
    }


@settings(max_examples=100, deadline=None)
@given(*[st.lists(st.sampled_from(["", "a", "b", "c", None])) for _ in range(2)])
def test_match_is_one_to_one(own: list[str | None], other: list[str | None]) -> None:
    found = match(pa.array(own, pa.string()), pa.array(other, pa.large_string()))
    once = [
        (i, other.index(key))
        for i, key in enumerate(own)
        if key is not None and own.count(key) == 1 and other.count(key) == 1
    ]
    assert list(zip(found.own.tolist(), found.other.tolist())) == once
    taken = {i for i, _ in once}
    assert found.ambiguous.tolist() == [k is not None and k in other and i not in taken for i, k in enumerate(own)]


def test_integer_ids_match_their_decimal_text() -> None:
    found = match(pa.array([3, 1]), pa.array(["1", "2", "3"]))
    assert (found.own.tolist(), found.other.tolist()) == ([0, 1], [2, 0])


# ------------------------------------------------------------------------------------------------- limited draws


def star(folder: Path) -> None:
    application(folder / "app")
    spokes = [(x, "a") for x in "pqrstuvw"] + [("a", x) for x in "klmno"] + [("b", "k")]
    corpus(folder / "corpus", depends=spokes, keeps=[], ids="abpqrstuvwklmno")


def test_neighbours_are_drawn_per_node_relation_and_direction(tmp_path: Path) -> None:
    star(tmp_path)
    seen = set()
    for seed in range(4):
        stitch(config(tmp_path, max_neighbors=3, seed=seed))
        found = added(tmp_path / OUT)
        inwards = found["corpus_package:corpus_depends:item"]
        outwards = found["item:corpus_depends:corpus_package"]
        assert len([e for e in inwards if e[1] == "a"]) == 3
        assert len([e for e in outwards if e[0] == "a"]) == 3
        assert ("b", "k") in outwards
        assert set(inwards) <= {(x, "a") for x in "pqrstuvw"}
        again = stitch(config(tmp_path, max_neighbors=3, seed=seed), force=True)
        assert again.hashes == read_manifest(tmp_path / OUT).hashes
        assert added(tmp_path / OUT) == found
        seen.add(tuple(inwards))
    assert len(seen) > 1


def test_a_node_draws_once_however_often_it_is_reached(tmp_path: Path) -> None:
    star(tmp_path)
    stitch(config(tmp_path, hops=5, max_neighbors=3))
    assert len(added(tmp_path / OUT)["corpus_package:corpus_depends:item"]) == 3


def test_more_than_there_are_takes_all(tmp_path: Path) -> None:
    star(tmp_path)
    all_of_them = stitch(config(tmp_path, hops=2)).hashes
    assert stitch(config(tmp_path, hops=2, max_neighbors=8)).hashes == all_of_them


def test_draws_are_uniform() -> None:
    rng = np.random.default_rng(0)
    nodes = np.array([5, 2, 5, 5, 2, 5])
    counts: Counter[int] = Counter()
    for _ in range(2000):
        rows = draw_each(nodes, 2, rng)
        assert sorted(nodes[rows].tolist()) == [2, 2, 5, 5]
        counts.update(rows.tolist())
    assert (counts[1], counts[4]) == (2000, 2000)
    assert all(abs(counts[row] - 1000) < 120 for row in (0, 2, 3, 5))  # over 5 standard deviations
    assert draw_each(np.array([], np.int64), 2, rng).tolist() == []


# ---------------------------------------------------------------------------------------------------- property


def by_hand(depends: Pairs, keeps: Pairs, own: set[str], held_out: set[tuple[str, str]], hops: int) -> list[Any]:
    """The rule in plain Python: an edge is taken when one of its ends is fewer than `hops` steps away."""
    usable = [(r, e) for r, given in (("depends", depends), ("keeps", keeps)) for e in given]
    usable = [(r, (s, t)) for r, (s, t) in usable if not ({s, t} <= own and ({(s, t), (t, s)} & held_out))]
    near = set(own)
    for _ in range(hops):
        found = [entry for entry in usable if set(entry[1]) & near]
        near |= {node for _, entry in found for node in entry}
    return sorted(found)


LETTERS = "abcdpqrstu"
letter = st.sampled_from(LETTERS)


@settings(max_examples=15, deadline=None)
@given(
    links=st.lists(
        st.tuples(*[st.sampled_from("abcd")] * 2, st.sampled_from(["train", "valid", "test"])), min_size=1, max_size=8
    ),
    depends=st.lists(st.tuples(letter, letter), min_size=1, max_size=25),
    keeps=st.lists(st.tuples(st.sampled_from(["m1", "m2", "m3"]), letter), min_size=1, max_size=6),
    hops=st.integers(1, 3),
    limit=st.sampled_from([None, 1, 2]),
)
def test_property(
    links: list[tuple[str, str, str]], depends: Pairs, keeps: Pairs, hops: int, limit: int | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        application(folder / "app", links)
        corpus(folder / "corpus", depends, keeps, LETTERS)
        stitch(config(folder, hops=hops, max_neighbors=limit))
        assert_whole(folder / "app/graph", folder / OUT)
        found = added(folder / OUT)
        flat = sorted((n.split(":")[1].removeprefix("corpus_"), e) for n, pairs in found.items() for e in pairs)
        pairs = {(s, t) for s, t, _ in links}
        expected = by_hand(depends, keeps, set("abcd"), pairs, hops)
        if limit is None:
            assert flat == expected
        else:
            assert not Counter(flat) - Counter(expected)
        for source, target in found.get("item:corpus_depends:item", []):
            assert not {(source, target), (target, source)} & pairs
        report = read_report(folder / OUT)
        assert report["added_edges"] == {n: len(p) for n, p in found.items()}
        counts = {n: node.count for n, node in read_manifest(folder / OUT).nodes.items() if n != "item"}
        assert report["added_nodes"] == counts
