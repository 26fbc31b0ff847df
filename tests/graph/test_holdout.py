"""Held-out edges: few, the same for the same seed, with their parallels and mirror images, and never a message."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.holdout import hold_out, pair_hash
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import ExcludedEdges

BUYS, BOUGHT = ("user", "buys", "item"), ("item", "buys_rev", "user")
SIMILAR = ("item", "similar", "item")
ALL = [FanoutByType(default=-1)]


def pairs(source: np.ndarray, target: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(source.tolist(), target.tolist()))


def messages(graph: LocalGraph, edge_type: tuple[str, str, str]) -> set[tuple[int, int]]:
    """(source, target) of all edges of a type that a neighbourhood of all nodes holds."""
    seeds = {edge_type[2]: np.arange(graph.manifest.node(edge_type[2]).count)}
    made = graph.sample(seeds, ALL, np.random.default_rng(0))
    relation = made.blocks[0].relations[edge_type]
    to = made.input_ids[edge_type[2]][np.repeat(relation.rows, np.diff(relation.offsets))]
    of = made.input_ids[edge_type[0]][relation.sources]
    assert pairs(of, to) == pairs(*graph.edges(edge_type, relation.edge_ids))  # ids still point into the whole table
    return pairs(of, to)


@pytest.mark.parametrize(("most", "expected"), [(1000, 19), (5, 5)])
def test_at_most_so_many_and_two_per_cent(shop: tuple[Path, Path], most: int, expected: int) -> None:
    graph = LocalGraph(shop[1])
    assert graph.manifest.edge(BUYS).count == 960
    ends = hold_out(graph, {BUYS: most}, 0).ends
    # Parallel edges go together, so that it may be a little less.
    assert expected - 3 <= len(ends[BUYS][0]) <= expected
    again = hold_out(graph, {BUYS: most}, 0).ends
    assert (ends[BUYS][0] == again[BUYS][0]).all()
    assert pairs(*ends[BUYS]) != pairs(*hold_out(graph, {BUYS: most}, 1).ends[BUYS])


def test_small_relations_keep_all(shop: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphstorm_like.graph.holdout.MAX_FRACTION", 0.001)
    assert hold_out(LocalGraph(shop[1]), {BUYS: 1000}, 0).ends == {}


def test_hash_is_of_the_pair_and_the_seed() -> None:
    source, target = np.array([0, 1, 2, 0, 5]), np.array([1, 0, 2, 1, 7])
    one_way, both = pair_hash(source, target, False, 3), pair_hash(source, target, True, 3)
    assert one_way[0] == one_way[3] != one_way[1]
    assert both[0] == both[1] == both[3]
    assert len(set(both.tolist())) == 3
    assert not (one_way == pair_hash(source, target, False, 4)).any()
    grid = pair_hash(np.repeat(np.arange(300), 300), np.tile(np.arange(300), 300), False, 0)
    assert len(np.unique(grid)) == 90_000
    assert abs((grid < np.uint64(2**63)).mean() - 0.5) < 0.01


def test_mirror_images_share_their_fate(shop: tuple[Path, Path]) -> None:
    graph = LocalGraph(shop[1])
    everything = pairs(*graph.edges(SIMILAR))
    held = pairs(*hold_out(graph, {SIMILAR: 1000}, 0).ends[SIMILAR])
    assert held
    assert {(t, s) for s, t in held} & everything <= held


def test_held_out_edges_are_no_messages_in_either_direction(shop: tuple[Path, Path]) -> None:
    whole = LocalGraph(shop[1])
    held_out = hold_out(whole, {BUYS: 1000}, 0)
    held = pairs(*held_out.ends[BUYS])
    assert held <= messages(whole, BUYS)  # the check can fail: they are there before
    assert {(t, s) for s, t in held} <= messages(whole, BOUGHT)
    for graph in (
        LocalGraph(shop[1], held_out=held_out),
        pickle.loads(pickle.dumps(LocalGraph(shop[1], (), held_out))),
    ):
        assert messages(graph, BUYS) == messages(whole, BUYS) - held
        assert messages(graph, BOUGHT) == messages(whole, BOUGHT) - {(t, s) for s, t in held}
        assert pairs(*graph.edges(BUYS, graph.hidden_rows(BUYS))) == held
        assert not len(graph.hidden_rows(SIMILAR))


def test_splits_and_ends_hide_together(shop: tuple[Path, Path]) -> None:
    whole = LocalGraph(shop[1])
    source, target = whole.edges(SIMILAR, whole.edge_rows(SIMILAR, "train")[:3])
    graph = LocalGraph(shop[1], [SIMILAR], ExcludedEdges({SIMILAR: (source, target)}))
    by_split = LocalGraph(shop[1], [SIMILAR])
    assert messages(graph, SIMILAR) == messages(by_split, SIMILAR) - pairs(source, target)
