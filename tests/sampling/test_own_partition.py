"""Negatives of which each host computes its own: exact shares, no foreign rows, the same for any number of ranks."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.negatives import (
    MixNegativesConfig,
    NegativesConfig,
    OwnPartitionNegativesConfig,
    UniformNegativesConfig,
)
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.sampling.batch import LinkTargets, StreamPosition, link_parts
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.negatives import NEGATIVES
from graphstorm_like.sampling.negatives.mix import MixNegatives
from graphstorm_like.sampling.negatives.own_partition import OwnPartitionNegatives, shares
from graphstorm_like.sampling.negatives.uniform import UniformNegatives
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

SIMILAR = ("item", "similar", "item")
OWN = OwnPartitionNegativesConfig(type="own_partition", count=50)
UNIFORM = UniformNegativesConfig(type="uniform", uniform=50)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, LocalGraph]:
    """The shop in 1 and in 3 partitions."""
    folder, found = tmp_path_factory.mktemp("own"), {}
    tables = write_shop(folder / "tables")
    for count in (1, 3):
        data = shop_pipeline(tables, folder / f"run{count}", "link_prediction")
        data["graph"]["partitions"] = {"method": "random", "count": count}
        graph = build_pipeline(data).with_absolute_paths(folder).graph
        build_graph(graph)
        assert graph.path is not None
        found[count] = LocalGraph(Path(graph.path), {SIMILAR: None})
    return found


def made(graph: LocalGraph, config: OwnPartitionNegativesConfig = OWN) -> OwnPartitionNegatives:
    return OwnPartitionNegatives(config, graph, {SIMILAR: TrueTargets.of_edges(graph, SIMILAR)})


@pytest.mark.known_answer("negatives/own_partition")
def test_known_answer(graphs: dict[int, LocalGraph]) -> None:
    """7 of 3 partitions: up to 0, 7/3, 14/3 and 7, rounded up."""
    assert shares(7, 3).tolist() == [3, 2, 2]
    assert shares(2, 3).tolist() == [1, 1, 0]
    negatives = made(graphs[3])
    drawn = negatives.draw("item", {}, np.random.default_rng(0))
    bounds = graphs[3].starts("item")
    assert np.histogram(drawn, bounds)[0].tolist() == [17, 17, 16]
    many = made(graphs[3], OwnPartitionNegativesConfig(type="own_partition", count=60_000))
    often = np.bincount(many.draw("item", {}, np.random.default_rng(0)), minlength=240) / 60_000
    chances = many.chances("item", np.arange(240), 60_000)
    assert chances is not None
    np.testing.assert_allclose(chances, np.repeat(1 / 3 / np.diff(bounds), np.diff(bounds)))
    np.testing.assert_allclose(often, chances, atol=0.002)


def test_partitions_without_such_nodes_give_none(graphs: dict[int, LocalGraph]) -> None:
    negatives = made(graphs[3])
    negatives.ranges["item"] = negatives.ranges["item"][1:]
    drawn = negatives.draw_some(9, "item", {}, np.random.default_rng(0))
    assert np.histogram(drawn, graphs[3].starts("item"))[0].tolist() == [0, 5, 4]
    assert negatives.chances("item", np.array([239]), 9)[0] > 0  # type: ignore[index]


def test_with_one_partition_they_are_uniform(graphs: dict[int, LocalGraph]) -> None:
    known = {SIMILAR: TrueTargets.of_edges(graphs[1], SIMILAR)}
    drawn = made(graphs[1]).draw("item", {}, np.random.default_rng(3))
    uniform = UniformNegatives(UNIFORM, graphs[1], known).draw("item", {}, np.random.default_rng(3))
    assert drawn.tolist() == uniform.tolist()
    assert made(graphs[1]).chances("item", drawn, 50) is None
    assert list(OwnPartitionNegatives.notes(OWN, graphs[3])) == []
    (note,) = OwnPartitionNegatives.notes(OWN, graphs[1])
    assert "as uniform does" in note
    data = {"type": "mix", "parts": [{"share": 1, "negatives": {"type": "own_partition"}}]}
    mix = MixNegativesConfig.model_validate(data)
    assert list(NEGATIVES.of(mix).notes(mix, graphs[1])) == [note]


def drawn_by_rank(graph: LocalGraph, config: NegativesConfig, ranks: int, count: int = 50) -> list[list[int]]:
    """The drawn nodes whose vectors each rank computes: the last of its part of the pool."""
    train = {SIMILAR: graph.edge_rows(SIMILAR, "train")}
    found = []
    for rank in range(ranks):
        seeder = LinkSeeder(graph, train, config, 1, RankSlice(rank, ranks))
        batch = seeder(train[SIMILAR][:30], StreamPosition(0, 2))
        assert isinstance(batch.targets, LinkTargets)
        mine = batch.seeds["item"][batch.targets.pools["item"].mine]
        own = len(batch.targets.groups[0].sources)
        found.append(mine[own:].tolist())
    assert sum(map(len, found)) == count
    return found


@pytest.mark.parametrize("ranks", [3, 6])
def test_hosts_compute_their_own_nodes(graphs: dict[int, LocalGraph], ranks: int) -> None:
    graph, foreign = graphs[3], {}
    for config in (OWN, UNIFORM):
        foreign[config.type] = 0
        for rank, drawn in enumerate(drawn_by_rank(graph, config, ranks)):
            part = np.searchsorted(graph.starts("item"), drawn, side="right") - 1
            foreign[config.type] += int((part != rank * 3 // ranks).sum())
    assert foreign["own_partition"] == 0
    assert foreign["uniform"] > 0


def test_any_number_of_ranks_draws_the_same(graphs: dict[int, LocalGraph]) -> None:
    together = sorted(drawn_by_rank(graphs[3], OWN, 1)[0])
    for ranks in (1, 2, 3):
        assert sorted(itertools.chain(*drawn_by_rank(graphs[3], OWN, ranks))) == together


def test_true_targets_are_masked_and_mixes_draw_them(graphs: dict[int, LocalGraph]) -> None:
    """Their part of a mix is cut by partitions too, and known targets of a source do not count against it, nor do the
    targets of other edges without in_batch."""
    graph = graphs[3]
    parts = [{"share": 1, "negatives": {"type": "own_partition"}}, {"share": 1, "negatives": {"type": "uniform"}}]
    mix = MixNegativesConfig.model_validate({"type": "mix", "count": 200, "in_batch": False, "parts": parts})
    train = {SIMILAR: graph.edge_rows(SIMILAR, "train")}
    seeder = LinkSeeder(graph, train, mix, 1)
    rows = train[SIMILAR][:30]
    batch = seeder(rows, StreamPosition(0, 0))
    assert isinstance(batch.targets, LinkTargets)
    (links,) = link_parts(batch.targets)
    pool = batch.seeds["item"][batch.targets.pools["item"].mine]
    ids = links.candidates(pool).numpy()
    assert len(ids) == 30 + 200
    source, target = graph.edges(SIMILAR, train[SIMILAR])
    known = set(zip(source.tolist(), target.tolist(), strict=True))
    masked = 0
    for i, s in enumerate(graph.edges(SIMILAR, rows)[0].tolist()):
        for j, t in enumerate(ids.tolist()):
            want = (j < 30 or (s, t) in known or s == t) and i != j
            assert bool(links.mask[i, j]) == want
            masked += want and j >= 30
    assert masked > 0
    drawn = seeder.negatives.draw("item", {}, np.random.default_rng(0))
    assert np.histogram(drawn[:100], graph.starts("item"))[0].tolist() == [34, 33, 33]


def test_the_correction_knows_their_chances(graphs: dict[int, LocalGraph]) -> None:
    graph = graphs[3]
    train = {SIMILAR: graph.edge_rows(SIMILAR, "train")}
    config = OwnPartitionNegativesConfig(type="own_partition", count=31, popularity_correction=True, in_batch=False)
    (links,) = link_parts(LinkSeeder(graph, train, config, 1)(train[SIMILAR][:5], StreamPosition(0, 0)).targets)
    assert links.log_q is not None
    assert torch.isfinite(links.log_q).all()
    assert len(links.log_q.unique()) > 1


@pytest.mark.parametrize("popularity_correction", [True, False])
def test_every_partition_must_give_some(graphs: dict[int, LocalGraph], popularity_correction: bool) -> None:
    """Fewer nodes than partitions: of some nodes none would ever be a negative, and log q would be -inf."""
    known = {SIMILAR: graphs[3].edge_rows(SIMILAR, "train")}
    settings = {"in_batch": False, "popularity_correction": popularity_correction}
    few = OwnPartitionNegativesConfig.model_validate({"type": "own_partition", "count": 2, **settings})
    with pytest.raises(DataError, match=r"own_partition must draw .* each of its 3 partitions \(got 2 in all\). Raise"):
        LinkSeeder(graphs[3], known, few, 1)
    LinkSeeder(graphs[1], {SIMILAR: graphs[1].edge_rows(SIMILAR, "train")}, few, 1)
    LinkSeeder(graphs[3], known, few.model_copy(update={"count": 3}), 1)
    growing = {"share": 1, "full_epoch": 4, "negatives": {"type": "own_partition"}}
    parts = [growing, {"share": 1, "negatives": {"type": "uniform"}}]
    for count, is_enough in ((12, False), (16, True)):  # 2 or 3 in the first epoch
        mix = MixNegativesConfig.model_validate({"type": "mix", "count": count, "parts": parts, **settings})
        with nullcontext() if is_enough else pytest.raises(DataError, match=r"\(got 2 in all\)"):
            LinkSeeder(graphs[3], known, mix, 1)


def test_the_correction_knows_how_many_a_mix_draws(graphs: dict[int, LocalGraph]) -> None:
    """4 of 3 partitions are 2, 1 and 1, whatever 256 would be; before its first epoch a part has no chance."""
    parts = [
        {"share": 1, "from_epoch": 2, "negatives": {"type": "own_partition"}},
        {"share": 1, "negatives": {"type": "uniform"}},
    ]
    mix = MixNegativesConfig.model_validate({"type": "mix", "count": 8, "popularity_correction": True, "parts": parts})
    graph = graphs[3]
    negatives = MixNegatives(mix, graph, {SIMILAR: TrueTargets.of_edges(graph, SIMILAR)})
    np.testing.assert_allclose(negatives.chances("item", np.arange(240), 8), 1 / 240)
    negatives.at(StreamPosition(1, 0))
    sizes = np.diff(graph.starts("item"))
    own = np.repeat(np.array([2, 1, 1]) / 4 / sizes, sizes)
    np.testing.assert_allclose(negatives.chances("item", np.arange(240), 8), (own + 1 / 240) / 2)
