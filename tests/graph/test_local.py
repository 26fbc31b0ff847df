"""The local store against the tables it came from."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph

SIMILAR = ("item", "similar", "item")
REVERSE = ("item", "similar_rev", "item")


def test_ids_labels_and_features_are_the_tables(shop: tuple[Path, Path]) -> None:
    tables, folder = shop
    graph, table = LocalGraph(folder), pq.read_table(tables / "item.parquet")
    assert graph.ids("item").to_pylist() == table["id"].to_pylist()
    classes = graph.manifest.node("item").labels["kind"].classes
    assert [classes[i] for i in graph.label("item", "kind")] == table["kind"].to_pylist()
    prices = np.log1p(table["price"].to_numpy())
    standard = (prices - prices.mean()) / prices.std()
    np.testing.assert_allclose(graph.feature("item", "price")[:, 0], standard, atol=1e-5)
    rows = np.array([5, 0, 5])
    np.testing.assert_array_equal(graph.gather("item", "price", rows), graph.feature("item", "price")[rows])
    splits = np.array(table["split"].to_pylist())
    for split in ("train", "valid", "test"):
        assert graph.label_rows("item", "kind", split).tolist() == np.flatnonzero(splits == split).tolist()


def test_edges_are_the_table_and_the_reverse_swaps_them(shop: tuple[Path, Path]) -> None:
    tables, folder = shop
    graph, table = LocalGraph(folder), pq.read_table(tables / "similar.parquet")
    number = {name: i for i, name in enumerate(graph.ids("item").to_pylist())}
    want = sorted((number[s], number[t]) for s, t in zip(table["source"].to_pylist(), table["target"].to_pylist()))
    source, target = graph.edges(SIMILAR)
    assert sorted(zip(source.tolist(), target.tolist())) == want
    back_source, back_target = graph.edges(REVERSE)
    assert sorted(zip(back_target.tolist(), back_source.tolist())) == want
    assert graph.degrees(SIMILAR).tolist() == np.bincount([t for _, t in want], minlength=len(number)).tolist()


def test_edge_labels_are_the_table_in_both_directions(shop: tuple[Path, Path]) -> None:
    tables, folder = shop
    graph, table = LocalGraph(folder), pq.read_table(tables / "similar.parquet")
    rows = zip(*(table[name].to_pylist() for name in ("source", "target", "trend", "gap", "split")), strict=True)
    want = {(s, t): (trend, gap, split) for s, t, trend, gap, split in rows}
    ids = graph.ids("item").to_pylist()
    for edge_type in (SIMILAR, REVERSE):
        schema = graph.manifest.edge(edge_type).labels["trend"]
        trends, gaps = graph.edge_label(edge_type, "trend"), graph.edge_label(edge_type, "gap")
        splits = np.full(len(gaps), None)
        for split in ("train", "valid", "test"):
            rows_of = graph.edge_label_rows(edge_type, "gap", split)
            np.testing.assert_array_equal(rows_of, graph.edge_label_rows(edge_type, "trend", split))
            splits[rows_of] = split
        source, target = graph.edges(edge_type)
        for s, t, trend, gap, split in zip(source, target, trends, gaps, splits, strict=True):
            wanted_trend, wanted_gap, wanted_split = want[
                (ids[s], ids[t]) if edge_type == SIMILAR else (ids[t], ids[s])
            ]
            if wanted_gap is None:  # a split that the table gives to a row without a label does not count
                assert (trend, np.isnan(gap), split) == (-1, True, None)
            else:
                assert (schema.classes[trend], gap, split) == (wanted_trend, np.float32(wanted_gap), wanted_split)


def test_edges_are_hidden_by_the_split_of_a_label(shop: tuple[Path, Path]) -> None:
    graph = pickle.loads(pickle.dumps(LocalGraph(shop[1], hide={SIMILAR: "gap"})))
    held_out = [graph.edge_label_rows(SIMILAR, "gap", s) for s in ("valid", "test")]
    assert graph.hide == {SIMILAR: "gap"}
    shown = len(graph.edge_label(SIMILAR, "gap")) - sum(map(len, held_out))
    assert graph.degrees(SIMILAR).sum() == graph.degrees(REVERSE).sum() == shown
    # Fewer than by the edges' own split: edges without a label are not hidden.
    assert shown > LocalGraph(shop[1], hide=[SIMILAR]).degrees(SIMILAR).sum()
    with pytest.raises(DataError, match=r"item:similar:item: unknown label 'gup' \(known: gap, trend\)\. Did you mean"):
        LocalGraph(shop[1], hide={SIMILAR: "gup"})


def test_edges_and_their_reverses_carry_the_features_of_the_table(shop: tuple[Path, Path]) -> None:
    tables, folder = shop
    graph, table = LocalGraph(folder), pq.read_table(tables / "similar.parquet")
    number = {name: i for i, name in enumerate(graph.ids("item").to_pylist())}
    weight = table["weight"].to_numpy()
    standard = (weight - weight.mean()) / weight.std()
    ends = zip(table["source"].to_pylist(), table["target"].to_pylist())
    want = {(number[s], number[t]): w for (s, t), w in zip(ends, standard)}
    rows = np.array([17, 0, 17])
    for edge_type, step in ((SIMILAR, 1), (REVERSE, -1)):
        source, target = graph.edges(edge_type, rows)
        expected = [[want[pair[::step]]] for pair in zip(source.tolist(), target.tolist())]
        np.testing.assert_allclose(graph.gather(edge_type, "weight", rows), expected, atol=1e-5)
    with pytest.raises(DataError, match=r"item:similar:item: unknown text 'note'"):
        graph.text(SIMILAR, "note")


def test_hidden_edges_are_no_messages_in_either_direction(shop: tuple[Path, Path]) -> None:
    _, folder = shop
    graph = LocalGraph(folder, hide=[SIMILAR])
    held_out = np.concatenate([graph.edge_rows(SIMILAR, s) for s in ("valid", "test")])
    source, target = graph.edges(SIMILAR, held_out)
    assert len(held_out) > 20
    train = set(zip(*(x.tolist() for x in graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train")))))
    banned = set(zip(source.tolist(), target.tolist())) - train
    seeds = {"item": np.arange(graph.manifest.node("item").count)}
    made = graph.sample(seeds, [FanoutByType(default=-1)], np.random.default_rng(0))
    ids, seen = made.input_ids["item"], set()
    for edge_type in (SIMILAR, REVERSE):
        relation = made.blocks[0].relations[edge_type]
        to = ids[np.repeat(relation.rows, np.diff(relation.offsets))].tolist()
        of = ids[relation.sources].tolist()
        pairs = set(zip(of, to)) if edge_type == SIMILAR else set(zip(to, of))
        assert not pairs & banned
        seen |= pairs
        # Edge ids still point into the whole table.
        s, t = graph.edges(edge_type, relation.edge_ids)
        assert (s.tolist(), t.tolist()) == (of, to)
    assert seen == train


def test_one_stream_one_sample(shop: tuple[Path, Path]) -> None:
    graph = LocalGraph(shop[1])
    fanouts = [FanoutByType(default=3), FanoutByType(default=2)]
    seeds = {"item": np.arange(40)}
    one = graph.sample(seeds, fanouts, np.random.default_rng(1))
    graph.sample({"item": np.arange(100, 140)}, fanouts, np.random.default_rng(2))
    two = pickle.loads(pickle.dumps(graph)).sample(seeds, fanouts, np.random.default_rng(1))
    for a, b in zip(one.blocks, two.blocks, strict=True):
        for edge_type in a.relations:
            np.testing.assert_array_equal(a.relations[edge_type].edge_ids, b.relations[edge_type].edge_ids)
    assert all((one.input_ids[t] == two.input_ids[t]).all() for t in one.input_ids)


def test_messages_for_people(shop: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = shop
    graph = LocalGraph(folder)
    with pytest.raises(DataError, match=r"unknown node type 'itm' \(known: item, user\)\. Did you mean 'item'\?"):
        graph.ids("itm")
    with pytest.raises(DataError, match=r"unknown feature 'prise' \(known: colour, price\)\. Did you mean 'price'\?"):
        graph.feature("item", "prise")
    with pytest.raises(DataError, match="must be a graph folder, but has no graph.json"):
        LocalGraph(tmp_path)
    with pytest.raises(DataError, match="user:buys:item must have a split to hide edges by"):
        LocalGraph(folder, hide=[("user", "buys", "item")])
    (tmp_path / "graph.json").write_text('{"schema_version": 1}')
    with pytest.raises(DataError, match="must be a manifest of schema version 1"):
        LocalGraph(tmp_path)


def test_a_truncated_file_is_named(shop: tuple[Path, Path], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "graph"
    shutil.copytree(shop[1], copy)
    file = copy / "part-0" / LocalGraph(copy).manifest.partitions[0].node_files["item"]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"item.arrow: must hold what was written into it"):
        LocalGraph(copy).ids("item")


def test_parallels_of_hidden_edges_are_hidden_too(tmp_path: Path) -> None:
    import pyarrow as pa

    from gconstruct import build_graph
    from graphstorm_like.config import build_pipeline

    pq.write_table(pa.table({"id": ["a", "b", "c"]}), tmp_path / "n.parquet")
    rows = {"source": ["a", "a", "c"], "target": ["b", "b", "b"], "split": ["train", "test", "train"]}
    pq.write_table(pa.table(rows), tmp_path / "e.parquet")
    data = {
        "graph": {
            "path": str(tmp_path / "g"),
            "base": str(tmp_path),
            "nodes": {"n": {"files": "n.parquet", "id": "id"}},
            "edges": [
                {"source": "n", "relation": "r", "target": "n", "files": "e.parquet", "split": {"column": "split"}}
            ],
        },
        "task": {"type": "link_prediction", "edge_type": "n:r:n"},
    }
    build_graph(build_pipeline(data).graph)
    graph = LocalGraph(tmp_path / "g", hide=[("n", "r", "n")])
    assert graph.degrees(("n", "r", "n")).tolist() == [0, 1, 0]
    assert graph.degrees(("n", "r_rev", "n")).tolist() == [0, 0, 1]
