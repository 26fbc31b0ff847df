"""Neighbours drawn by weights: the distribution, what is never drawn, and the same draws over partitions and hosts."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph
from gconstruct.partition import partition_graph
from graphstorm_like.config import Pipeline
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.sample import sample_hop
from graphstorm_like.graph.sample_weighted import sample_weighted
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.training.checks import check_training
from graphstorm_like.training.experiment import build_experiment

from ..gconstruct.partitioning import LINK, LINK_REV, random_graph
from .serving import clusters

LOOP = ("a", "x", "a")
ROUNDS = 20_000


def drawn(weights: list[float], fanout: int) -> Counter[tuple[int, ...]]:
    """How often each set of edges is drawn for ROUNDS targets with these edges each."""
    indptr = np.arange(ROUNDS + 1) * len(weights)
    of_edges = np.tile(np.array(weights, np.float32), ROUNDS)
    sources = np.tile(np.arange(len(weights)), ROUNDS)
    hop = sample_weighted(indptr, sources, of_edges, np.arange(ROUNDS), fanout, NodeDraws(3, LOOP))
    return Counter(map(tuple, np.split(hop.sources, hop.offsets[1:-1])))  # type: ignore[arg-type]


def test_one_edge_is_drawn_in_proportion() -> None:
    counts = drawn([1.0, 2.0, 5.0], 1)
    for source, share in ((0, 1 / 8), (1, 2 / 8), (2, 5 / 8)):
        assert counts[(source,)] / ROUNDS == pytest.approx(share, abs=0.015)


def test_two_edges_are_drawn_one_after_the_other() -> None:
    """P{i, j} = p_i p_j / (1 - p_i) + p_j p_i / (1 - p_j)."""
    p = np.array([1.0, 2.0, 5.0]) / 8
    counts = drawn([1.0, 2.0, 5.0], 2)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        want = p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j])
        assert counts[i, j] / ROUNDS == pytest.approx(want, abs=0.015)


def test_weight_zero_is_never_drawn() -> None:
    assert set(drawn([0.0, 1.0, 0.0, 1e-6], 3)) == {(1, 3)}
    assert set(drawn([0.0, 2.0, 2.0], 1)) == {(1,), (2,)}
    assert len(drawn([0.0], 1)) == 1  # an empty hop: np.split gives one piece


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.integers(0, 3), max_size=9), min_size=1, max_size=8), st.integers(1, 4), st.data())
def test_hops_hold_as_many_true_edges_as_there_are(weights: list[list[int]], fanout: int, data: st.DataObject) -> None:
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in weights])]).astype(np.int64)
    of_edges = np.array([w for row in weights for w in row], np.float32)
    sources = np.arange(len(of_edges)) * 10
    targets = np.array(data.draw(st.permutations(range(len(weights)))), dtype=np.int64)
    hop = sample_weighted(indptr, sources, of_edges, targets, fanout, NodeDraws(0, LOOP))
    found = dict.fromkeys(range(len(targets)), 0) | dict(zip(hop.rows.tolist(), np.diff(hop.offsets).tolist()))
    for i, target in enumerate(targets.tolist()):
        assert found[i] == min(fanout, np.count_nonzero(weights[target]))
    assert (np.diff(hop.offsets) > 0).all()
    assert (hop.sources == sources[hop.edge_ids]).all()
    assert (of_edges[hop.edge_ids] > 0).all()
    rows = np.repeat(hop.rows, np.diff(hop.offsets))
    assert ((indptr[targets[rows]] <= hop.edge_ids) & (hop.edge_ids < indptr[targets[rows] + 1])).all()
    assert (np.diff(hop.edge_ids)[np.diff(rows) == 0] > 0).all()


def test_equal_weights_leave_the_sizes_of_uniform_draws() -> None:
    rng = np.random.default_rng(0)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 9, 50))])
    sources, targets = rng.integers(50, size=indptr[-1]), rng.permutation(50)
    weighted = sample_weighted(indptr, sources, np.ones(len(sources), np.float32), targets, 3, NodeDraws(0, LOOP))
    uniform = sample_hop(indptr, sources, targets, 3, NodeDraws(0, LOOP))
    for name in ("rows", "offsets"):
        np.testing.assert_array_equal(getattr(weighted, name), getattr(uniform, name))


# ------------------------------------------------------------------------------------------------------------- stores


def by_ids(graph: Any, seeds: list[Any]) -> list[tuple[Any, ...]]:
    """(layer, edge type, source id, target id) of the sampled edges, sorted."""
    ids = {t: graph.ids(t).to_pylist() for t in graph.manifest.nodes}
    asked = {"item": np.array([ids["item"].index(seed) for seed in seeds])}
    sampled = graph.sample(asked, [FanoutByType(default=2)] * 2, np.random.default_rng(5))
    found = []
    for layer, block in enumerate(sampled.blocks):
        for edge_type, relation in block.relations.items():
            sources, targets = graph.edges(edge_type, relation.edge_ids)
            for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
                found.append((layer, edge_type, ids[edge_type[0]][source], ids[edge_type[2]][target]))
    return sorted(found)


def test_hosts_draw_what_one_process_draws(tmp_path: Path) -> None:
    whole = random_graph(tmp_path / "tables", 5, items=60)
    partition_graph(whole, tmp_path / "graph", 3, seed=1)
    here = LocalGraph(tmp_path / "graph", [LINK], None, "number")
    assert {e for e in (LINK, LINK_REV) if "number" in here.manifest.edge(e).features} == {LINK, LINK_REV}
    seeds = LocalGraph(whole).ids("item").to_pylist()[:30]
    want = by_ids(here, seeds)
    assert want == by_ids(pickle.loads(pickle.dumps(here)), seeds)
    assert want != by_ids(LocalGraph(tmp_path / "graph", [LINK]), seeds)
    with clusters(tmp_path / "graph", tmp_path, 3) as found:
        for where in found:
            there = RemoteGraph(tmp_path / "graph", [LINK], None, where, 0, "number")
            assert by_ids(there, seeds) == want


def test_edges_of_weight_zero_are_left_out(tmp_path: Path) -> None:
    """The first edge of the table has number 0."""
    graph = LocalGraph(random_graph(tmp_path / "tables", 5, items=60), (), None, "number")
    zero = int(np.flatnonzero(graph.feature(LINK, "number")[:, 0] == 0)[0])
    target = int(graph.edges(LINK, np.array([zero]))[1][0])
    for fanout, is_there in ((100, False), (-1, True)):
        sampled = graph.sample({"item": np.array([target])}, [FanoutByType(default=fanout)], np.random.default_rng(0))
        assert (zero in sampled.blocks[0].relations[LINK].edge_ids) == is_there


def test_negative_weights_are_refused(shop_config: Callable[..., Pipeline]) -> None:
    graph = LocalGraph(Path(str(shop_config().graph.path)), (), None, "weight")  # normalize: standard
    with pytest.raises(DataError, match=r"feature 'weight' must be at least 0 to draw edges by .* train\.draw_by"):
        graph.sample({"item": np.arange(9)}, [FanoutByType(default=1)], np.random.default_rng(0))


def test_the_feature_must_be_of_edges(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"train\.draw_by: unknown feature of edges 'wieght'.*'weight'"):
        shop_config(train={"draw_by": "wieght"})


def test_training_draws_by_weights(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    edges = shop_config().graph.model_dump(mode="json")["edges"]
    edges[1]["features"]["weight"]["normalize"] = "none"
    means = []
    for draw_by in ("weight", None):
        train = {"draw_by": draw_by, "fanouts": [1, 1]}
        pipeline = shop_config(graph={"path": str(tmp_path / "graph"), "edges": edges}, train=train)
        build_graph(pipeline.graph)
        check_training(pipeline)
        found = build_experiment(pipeline, Reporter(quiet=True))
        batch = found.learner.batches().make(np.arange(200), StreamPosition(0, 0))
        edge_ids = batch.blocks[-1].relations["item", "similar", "item"].edge_ids.numpy()
        means.append(found.graph.gather(("item", "similar", "item"), "weight", edge_ids).mean())
    assert means[0] > means[1] + 0.05
