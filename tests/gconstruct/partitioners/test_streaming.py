"""Streaming partitions: bounds of balance, few cut edges, and the parts that they are made of."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gconstruct import build_graph
from gconstruct.assign import assign
from gconstruct.opened import GraphFiles
from gconstruct.partition import partition_graph
from gconstruct.partitioners.streaming import passes, transposed
from gconstruct.partitioners.streaming.passes import neighbour_counts
from gconstruct.partitioners.streaming.placing import place
from gconstruct.partitioners.streaming.stretches import interleaved, stretches
from graphstorm_like.config.partitioners import FennelPartitions
from graphstorm_like.graph.schema import read_manifest

from ..partitioning import random_graph
from ..tables import graph, item, link, write
from .methods import assert_whole, communities, cut_of, opened, parts_of, same

each_score = pytest.mark.parametrize("method", ["fennel", "ldg"])


def train_of(folder: Path) -> np.ndarray:
    manifest = read_manifest(folder)
    return GraphFiles(folder, manifest.partitions).nodes("item").numbers("split:kind") == 1


def in_edges(folder: Path, parts: dict[str, np.ndarray], count: int) -> np.ndarray:
    """Edges into the nodes of each partition."""
    manifest = read_manifest(folder)
    files, total = GraphFiles(folder, manifest.partitions), np.zeros(count)
    for edge in manifest.edges:
        total += np.bincount(parts[edge.edge_type[2]], np.diff(files.indptr(edge.edge_type)), minlength=count)
    return total


# ---------------------------------------------------------------------------------------------------------- balance


@each_score
@pytest.mark.parametrize("count", [2, 5, 16])
@pytest.mark.parametrize("slack", [0.01, 0.2])
def test_types_and_training_nodes_keep_their_bounds(method: str, count: int, slack: float, planted: Path) -> None:
    parts = parts_of(planted, count, method, slack=slack, passes=4)
    train = train_of(planted)
    for of in (parts["tag"], parts["item"][train], parts["item"][~train]):
        assert np.bincount(of, minlength=count).max() <= math.ceil((1 + slack) * len(of) / count)


@each_score
def test_what_is_not_balanced_may_be_uneven_and_cuts_less(method: str, tmp_path: Path) -> None:
    """Items and tags together: all tags may be in one partition."""
    folder = communities(tmp_path)
    parts = parts_of(folder, 3, method, balance=["nodes"])
    together = np.concatenate(list(parts.values()))
    assert np.bincount(together, minlength=3).max() <= math.ceil(1.03 * len(together) / 3)
    sizes = np.bincount(parts["item"][train_of(folder)], minlength=3)
    assert sizes.max() > math.ceil(1.03 * sizes.sum() / 3)


@each_score
@pytest.mark.parametrize("balance", [["edges"], ["types", "edges"]])
def test_edges_are_balanced(method: str, balance: list[str], planted: Path) -> None:
    parts = parts_of(planted, 4, method, balance=balance, edge_slack=0.05)
    edges = in_edges(planted, parts, 4)
    assert edges.max() <= 1.05 * edges.mean() + 40  # an item has fewer edges


def test_a_node_with_half_of_the_edges_finds_a_place(planted: Path) -> None:
    """No partition has room for it; it goes somewhere all the same."""
    parts = parts_of(planted, 16, "fennel", balance=["types", "edges"], edge_slack=0.001, passes=2)
    assert_whole(planted, parts, 16)


# -------------------------------------------------------------------------------------------------------------- cut


@pytest.mark.known_answer("partitioners/fennel", "partitioners/ldg")
@each_score
@pytest.mark.parametrize("reverse", [True, False])
def test_communities_are_found(method: str, reverse: bool, tmp_path: Path) -> None:
    """With and without reverse types: edges are followed in both directions."""
    folder = communities(tmp_path, groups=4, reverse=reverse)
    parts = parts_of(folder, 4, method, passes=20)
    assert cut_of(folder, parts) < 0.3
    assert cut_of(folder, parts_of(folder, 4, "random")) > 0.7


@each_score
def test_more_passes_cut_less(method: str, planted: Path) -> None:
    cuts = [cut_of(planted, parts_of(planted, 4, method, passes=passes)) for passes in (1, 3, 10)]
    assert cuts[0] > cuts[1] > cuts[2]


def test_partitions_of_the_source_do_not_matter_much(planted: Path, tmp_path: Path) -> None:
    partition_graph(planted, tmp_path / "random", 3, "random")
    assert cut_of(tmp_path / "random", parts_of(tmp_path / "random", 2, "fennel")) < 0.06


def test_it_ends_when_nothing_moves(planted: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    partition_graph(planted, tmp_path / "two", 2, "fennel", options={"passes": 100}, progress=lines.append)
    told = [line for line in lines if line.startswith("fennel, pass")]
    assert 2 <= len(told) < 100
    assert told[0].startswith("fennel, pass 1: 1,500 nodes moved, ")


# ------------------------------------------------------------------------------------------------------------ parts


def undirected(folder: Path) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """Both directions of every edge that is no loop, reverse types not counted."""
    manifest = read_manifest(folder)
    files = GraphFiles(folder, manifest.partitions)
    for edge in manifest.edges:
        rows = files.edges(edge.edge_type)
        for source, target in zip(rows.numbers("source").tolist(), rows.numbers("target").tolist(), strict=True):
            ends = ((edge.edge_type[0], source), (edge.edge_type[2], target))
            if not edge.is_reverse and ends[0] != ends[1]:
                yield ends
                yield ends[::-1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("batch", [2, 1 << 20])
def test_neighbours_are_counted_as_one_by_one(
    seed: int, pieces: int, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With relations that have a reverse and relations that have none; however few edges are read at a time."""
    for module, name in ((passes, "EDGES"), (transposed, "_EDGES")):
        monkeypatch.setattr(module, name, batch)
    monkeypatch.setattr("gconstruct.partitioners.streaming.stretches.EDGES", batch)
    folder = random_graph(tmp_path / "tables", seed)
    if pieces > 1:
        partition_graph(folder, tmp_path / "parted", pieces)
        folder = tmp_path / "parted"
    counts = {name: node.count for name, node in read_manifest(folder).nodes.items()}
    rng = np.random.default_rng(seed)
    parts = {name: rng.integers(-1, 4, count).astype(np.int32) for name, count in counts.items()}
    expected = {name: np.zeros((count, 4), int) for name, count in counts.items()}
    for (node_type, node), (other_type, other) in undirected(folder):
        if parts[other_type][other] >= 0:
            expected[node_type][node, parts[other_type][other]] += 1
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen = dict.fromkeys(counts, 0)
    for piece in interleaved(stretches(opened(folder, scratch)), dict.fromkeys(counts, 2), counts):
        assert (neighbour_counts(piece, parts, 4) == expected[piece.node_type][piece.start : piece.stop]).all()
        seen[piece.node_type] += len(piece)
    assert seen == counts


def test_pieces_do_not_change_what_is_promised(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = parts_of(planted, 3, "fennel")
    for largest in (1, 10_000):
        monkeypatch.setattr(passes, "LARGEST", largest)
        monkeypatch.setattr(passes, "PIECES", 1)
        parts = parts_of(planted, 3, "fennel", passes=3)
        assert not same(parts, default)
        assert np.bincount(parts["tag"]).max() <= 103


@given(st.integers(0, 10_000))
def test_placing_keeps_to_the_room_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes, count = int(rng.integers(1, 40)), int(rng.integers(1, 6))
    room = rng.multinomial(nodes + int(rng.integers(5)), np.full(count, 1 / count))
    scores, weights = rng.integers(0, 3, (nodes, count)).astype(float), rng.integers(0, 9, nodes)
    weight_room = rng.integers(-5, 60, count).astype(float)
    parts = place(scores, room, weights, weight_room)
    assert ((parts >= 0) & (parts < count)).all()
    assert (np.bincount(parts, minlength=count) <= room).all()


def test_those_stay_that_would_lose_most() -> None:
    scores = np.array([[5.0, 4.0, 0.0], [5.0, 0.0, 0.0], [5.0, 3.0, 0.0]])
    none = np.zeros(3, int)
    assert place(scores.copy(), np.array([1, 5, 5]), none, np.full(3, np.inf)).tolist() == [1, 0, 1]
    assert place(scores.copy(), np.array([2, 5, 5]), none, np.full(3, np.inf)).tolist() == [1, 0, 0]
    assert place(scores.copy(), np.array([9, 0, 9]), none, np.full(3, np.inf)).tolist() == [0, 0, 0]


def test_edges_count_where_there_is_a_choice() -> None:
    scores, weights = np.array([[5.0, 1.0], [5.0, 0.0], [5.0, 4.0]]), np.array([3, 3, 3])
    assert place(scores.copy(), np.array([9, 9]), weights, np.array([6.0, 6.0])).tolist() == [0, 0, 1]
    # Where it fits nowhere by edges, nodes decide.
    assert place(scores.copy(), np.array([9, 9]), weights, np.array([1.0, -1.0])).tolist() == [0, 0, 0]
    assert place(scores.copy(), np.array([1, 9]), weights, np.array([1.0, -1.0])).tolist() == [1, 0, 1]


@pytest.mark.parametrize("reverse", [True, False])
def test_memory_is_for_nodes_only(reverse: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300,000 edges, of which never one byte each is in memory."""
    rng, edges = np.random.default_rng(0), 300_000
    write(tmp_path / "items.parquet", id=np.arange(500))
    write(tmp_path / "links.parquet", source=rng.integers(500, size=edges), target=rng.integers(500, size=edges))
    config = graph(tmp_path, {"item": item()}, [link(reverse=reverse)])
    build_graph(config)
    monkeypatch.setattr(transposed, "_EDGES", 2000)
    method = FennelPartitions(method="fennel", count=4, passes=2)
    source = opened(Path(str(config.path)), tmp_path)
    assign(source, method)  # imports
    for path in tmp_path.glob("transposed-*"):
        path.unlink()
    tracemalloc.start()
    try:
        assign(source, method)
        assert tracemalloc.get_traced_memory()[1] < edges
    finally:
        tracemalloc.stop()
