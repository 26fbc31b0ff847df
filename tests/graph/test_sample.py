"""Neighbour sampling: what comes out is a uniform subset of the true neighbours, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph import sample
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.sample import BatchPositions, draw_distinct, drop_excluded, sample_blocks, sample_hop
from graphstorm_like.graph.store import ExcludedEdges, Hop


def csc(edges: list[tuple[int, int]], num_targets: int) -> tuple[np.ndarray, np.ndarray]:
    ordered = sorted(edges, key=lambda e: (e[1], e[0]))
    counts = np.bincount([t for _, t in ordered], minlength=num_targets) if ordered else np.zeros(num_targets, int)
    return np.concatenate([[0], np.cumsum(counts)]), np.array([s for s, _ in ordered], dtype=np.int64)


LOOP = ("a", "x", "a")
graphs = st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=60))
)


@settings(deadline=None, max_examples=150)
@given(graphs, st.integers(-1, 6), st.integers(0, 100), st.data())
def test_hop_draws_distinct_true_edges(graph: tuple, fanout: int, seed: int, data: st.DataObject) -> None:
    n, edges = graph
    indptr, sources = csc(edges, n)
    targets = np.array(data.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=n)), dtype=np.int64)
    hop = sample_hop(indptr, sources, targets, fanout, NodeDraws(seed, LOOP))
    assert len(set(hop.edge_ids.tolist())) == len(hop.edge_ids)
    assert (sources[hop.edge_ids] == hop.sources).all()
    assert (np.diff(hop.offsets) > 0).all()
    for i, row in enumerate(hop.rows):
        target = targets[row]
        ids = hop.edge_ids[hop.offsets[i] : hop.offsets[i + 1]]
        assert ((indptr[target] <= ids) & (ids < indptr[target + 1])).all()
    degree = indptr[targets + 1] - indptr[targets]
    want = degree if fanout < 0 else np.minimum(degree, fanout)
    got = np.zeros(len(targets), dtype=int)
    got[hop.rows] = np.diff(hop.offsets)
    assert (got == want).all()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(1, 8), st.integers(0, 1000))
def test_draw_distinct(sizes: list[int], k: int, seed: int) -> None:
    sizes_array = np.array(sizes) + k - 1
    picks = draw_distinct(sizes_array, np.random.default_rng(seed).random((k, len(sizes))))
    assert picks.shape == (len(sizes), k)
    assert (np.diff(picks, axis=1) > 0).all()
    assert (picks >= 0).all()
    assert (picks < sizes_array[:, None]).all()


def test_draw_is_uniform_over_subsets() -> None:
    rounds = 30_000
    picks = draw_distinct(np.full(rounds, 5), NodeDraws(7, LOOP).uniform(np.arange(rounds), 2))
    counts = Counter(map(tuple, picks.tolist()))
    assert len(counts) == 10
    # 3000 expected of each; a standard deviation is 52.
    assert max(abs(c - rounds / 10) for c in counts.values()) < 260


def test_excluded_edges_go_with_all_parallel_ones() -> None:
    # edges into 0: 1, 1, 2 ; into 3: 1
    hop = Hop(np.array([0, 1]), np.array([0, 3, 4]), np.array([1, 1, 2, 1]), np.arange(4))
    left = drop_excluded(hop, np.array([0, 3]), (np.array([1]), np.array([0])), num_sources=10)
    assert left.rows.tolist() == [0, 1]
    assert left.offsets.tolist() == [0, 1, 2]
    assert left.sources.tolist() == [2, 1]
    assert left.edge_ids.tolist() == [2, 3]
    none = drop_excluded(left, np.array([0, 3]), (np.array([2]), np.array([0])), num_sources=10)
    assert none.rows.tolist() == [1]


@pytest.mark.parametrize("dense_nodes", [10, 0])
def test_numbering_is_a_bijection_in_order_of_arrival(monkeypatch: pytest.MonkeyPatch, dense_nodes: int) -> None:
    monkeypatch.setattr(sample, "DENSE_NODES", dense_nodes)
    numbering = BatchPositions({"a": 10})
    for _ in range(2):  # the second batch must not see the first
        numbering.start({"a": np.array([7, 3])})
        assert numbering.positions("a", np.array([3, 5, 5, 9, 7, 5])).tolist()[0] == 1
        assert sorted(numbering.ids()["a"].tolist()) == [3, 5, 7, 9]
        ids = numbering.ids()["a"]
        assert numbering.positions("a", ids).tolist() == [0, 1, 2, 3]
        assert ids[:2].tolist() == [7, 3]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 30), max_size=10, unique=True), st.lists(st.lists(st.integers(0, 30)), max_size=4))
def test_large_types_are_numbered_alike(seeds: list[int], parts: list[list[int]]) -> None:
    """Sorted look-up: seeds first, in their order; every id one place."""
    dense, large = BatchPositions({"a": 31}), BatchPositions({"a": sample.DENSE_NODES + 1})
    for numbering in (dense, large):
        numbering.start({"a": np.array(seeds, dtype=np.int64)})
    for part in parts:
        ids = np.array(part, dtype=np.int64)
        places = large.positions("a", ids)
        assert large.ids().get("a", ids[:0])[places].tolist() == part
        dense.positions("a", ids)
        assert dense.size == large.size
    assert large.ids().get("a", np.zeros(0))[: len(seeds)].tolist() == seeds


def test_seeds_must_be_distinct() -> None:
    with pytest.raises(AssertionError, match="distinct"):
        BatchPositions({"a": 10}).start({"a": np.array([1, 1])})


def test_blocks_chain_and_targets_are_a_prefix_of_sources() -> None:
    edges = {("a", "x", "a"): csc([(1, 0), (2, 1), (3, 2)], 4), ("b", "y", "a"): csc([(0, 1), (1, 1)], 4)}

    def hops(wanted: Sequence[tuple[EdgeType, np.ndarray, int]]) -> list[Hop]:
        return [sample_hop(*edges[of], targets, fanout, NodeDraws(0, of)) for of, targets, fanout in wanted]

    counts = {"a": 4, "b": 2}
    all_of = FanoutByType(default=-1)
    made = sample_blocks(
        BatchPositions(counts), list(edges), counts, {"a": np.array([0])}, [all_of, all_of], hops, None
    )
    outer, inner = made.blocks
    assert inner.num_dst == {"a": 1}
    assert inner.num_src == {"a": 2} == outer.num_dst
    assert outer.num_src == {"a": 3, "b": 2}
    assert made.input_ids["a"].tolist() == [0, 1, 2]
    assert made.input_ids["b"].tolist() == [0, 1]
    assert ("b", "y", "a") not in inner.relations
    relation = outer.relations[("a", "x", "a")]
    assert relation.rows.tolist() == [0, 1]
    assert relation.sources.tolist() == [1, 2]
    excluded = ExcludedEdges({("a", "x", "a"): (np.array([1]), np.array([0]))})
    cut = sample_blocks(BatchPositions(counts), list(edges), counts, {"a": np.array([0])}, [all_of], hops, excluded)
    assert not cut.blocks[0].relations


def test_fanouts_by_edge_type_and_zero() -> None:
    fanout = FanoutByType(default=2, by_edge_type={"a:x:a": 0})
    assert fanout.of(("a", "x", "a")) == 0
    assert fanout.of(("b", "y", "a")) == 2
