"""Batches of several relations: shared candidates, masks of each relation's own truth, log Q, nothing leaked."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config.inverses import inverse_of
from graphstorm_like.config.link_heads import DotHeadConfig
from graphstorm_like.config.link_losses import InfoNceConfig
from graphstorm_like.config.negatives import UniformNegativesConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.models.link_heads import DotHead
from graphstorm_like.models.losses import InfoNce
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch, RelationLinks, StreamPosition, link_parts
from graphstorm_like.sampling.links import (
    LinkSeeder,
    edge_starts,
    log_sampling_ratio,
    number_nodes,
    target_frequencies,
)
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.steps import SampleNeighbors
from graphstorm_like.tasks.links import sum_of_losses

R, Q = ("a", "r", "b"), ("a", "q", "b")
EDGES = {R: [(0, 0), (1, 1), (0, 2)], Q: [(0, 3), (2, 1), (2, 0)]}
START = StreamPosition(0, 0)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> LocalGraph:
    """a0..a2, b0..b3 and the edges of EDGES."""
    from gconstruct import build_graph
    from graphstorm_like.config import build_pipeline

    folder = tmp_path_factory.mktemp("two")
    for name, count in (("a", 3), ("b", 4)):
        pq.write_table(pa.table({"id": list(range(count))}), folder / f"{name}.parquet")
    for edge_type, edges in EDGES.items():
        table = pa.table({"source": [s for s, _ in edges], "target": [t for _, t in edges]})
        pq.write_table(table, folder / f"{edge_type[1]}.parquet")
    data = {
        "graph": {
            "path": str(folder / "g"),
            "base": str(folder),
            "nodes": {t: {"files": f"{t}.parquet", "id": "id"} for t in "ab"},
            "edges": [{"source": "a", "relation": r, "target": "b", "files": f"{r}.parquet"} for r in "rq"],
        },
        "task": {"type": "graph_pretraining"},
    }
    build_graph(build_pipeline(data).graph)
    return LocalGraph(folder / "g")


def numbers(graph: LocalGraph, wanted: dict[tuple[str, str, str], list[tuple[int, int]]]) -> np.ndarray:
    """Numbers of edges through the relations R, Q."""
    found = []
    for start, edge_type in zip(edge_starts(graph.manifest, [R, Q]), (R, Q)):
        there = list(zip(*(x.tolist() for x in graph.edges(edge_type))))
        found += [start + there.index(pair) for pair in wanted[edge_type]]
    return np.array(found)


def batch_of(graph: LocalGraph, **negatives: object) -> MiniBatch:
    """r: a0 -> b0, a1 -> b1; q: a0 -> b3, a2 -> b1; every edge is a training edge."""
    train = {e: np.arange(3) for e in (R, Q)}
    seeder = LinkSeeder(graph, train, UniformNegativesConfig(type="uniform", **negatives), seed=1)  # type: ignore[arg-type]
    return seeder(numbers(graph, {R: [(0, 0), (1, 1)], Q: [(0, 3), (2, 1)]}), START)


def nodes(batch: MiniBatch, part: RelationLinks) -> tuple[list[int], list[int]]:
    """Node ids of (sources, candidates)."""
    assert isinstance(batch.targets, LinkTargets)
    source, _, target = part.edge_type
    pool = batch.seeds[target][batch.targets.pools[target].mine]
    return batch.seeds[source][part.sources].tolist(), part.candidates(pool).tolist()


def test_candidates_are_shared_and_masked_by_relation(graph: LocalGraph) -> None:
    batch = batch_of(graph)
    r, q = link_parts(batch.targets)
    assert (r.edge_type, q.edge_type) == (R, Q)
    assert nodes(batch, r) == ([0, 1], [0, 1, 3, 1])
    assert nodes(batch, q) == ([0, 2], [3, 1, 0, 1])
    # r: b1 once more is a1's own target; a0 -> b3 is true of q, not of r, so it is a negative.
    assert r.mask.int().tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    # q: b0 is another true target of a2, b1 its own once more; a0 -> b0 is true of r only.
    assert q.mask.int().tolist() == [[0, 0, 0, 0], [0, 0, 1, 1]]
    assert (r.log_q, q.log_q) == (None, None)
    assert {t: ids.tolist() for t, ids in batch.seeds.items()} == {"a": [0, 1, 2], "b": [0, 1, 3]}


def test_without_in_batch_each_relation_has_uniform_negatives_alone(graph: LocalGraph) -> None:
    batch = batch_of(graph, in_batch=False, uniform=5, popularity_correction=True)
    r, q = link_parts(batch.targets)
    drawn = [nodes(batch, p)[1][len(p.sources) :] for p in (r, q)]
    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1]  # drawn once for the target type
    assert r.log_q is None


def test_loss_known_answer(graph: LocalGraph) -> None:
    """The loss of link_prediction, and of graph_pretraining over its relations."""
    batch = batch_of(graph, popularity_correction=True)
    a, b = {0: 1.0, 1: 2.0, 2: -1.0}, {0: 0.5, 1: 1.0, 3: -1.0}
    vectors = {
        t: torch.tensor([[of[i]] for i in batch.seeds[t].tolist()], requires_grad=True)
        for t, of in (("a", a), ("b", b))
    }
    head = DotHead(DotHeadConfig(type="dot", normalize=False), 1, [R, Q])
    loss = InfoNce(InfoNceConfig(type="info_nce", temperature=0.5))
    found, count = sum_of_losses(SimpleNamespace(group=SINGLE_PROCESS), head, loss, vectors, batch)  # type: ignore[arg-type]
    frequency = {0: 2 / 6, 1: 2 / 6, 2: 1 / 6, 3: 1 / 6}

    def row(source: int, target: int, others: list[int]) -> float:
        logits = [a[source] * b[t] / 0.5 - math.log(4 * frequency[t]) for t in (target, *others)]
        return math.log(sum(math.exp(x) for x in logits)) - logits[0]

    rows = [row(0, 0, [1, 3, 1]), row(1, 1, [0, 3]), row(0, 3, [1, 0, 1]), row(2, 1, [3])]
    assert count == 4
    assert found.item() == pytest.approx(sum(rows), rel=1e-5)
    found.backward()
    assert all(v.grad is not None and v.grad.abs().sum() > 0 for v in vectors.values())


class SimulatedGroup(Group):
    """A rank whose group knows what the others would send: rows of a table of vectors."""

    def __init__(self, pools: list[torch.Tensor]) -> None:
        self.pools = pools

    def gather_rows(self, rows: torch.Tensor, sizes: tuple[int, ...], what: str) -> torch.Tensor:
        """See Group."""
        assert tuple(len(p) for p in self.pools) == tuple(sizes)
        return torch.cat(self.pools)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(
    "options", [{}, {"uniform": 4}, {"in_batch": False, "uniform": 3}, {"popularity_correction": True}]
)
def test_ranks_together_lose_what_one_process_loses(graph: LocalGraph, size: int, options: dict[str, object]) -> None:
    """Same edges, same candidates, whatever the number of ranks (5: more than edges), and the same gradients."""
    torch.manual_seed(0)
    tables = {t: torch.randn(n, 3, requires_grad=True) for t, n in (("a", 3), ("b", 4))}
    head, loss = DotHead(DotHeadConfig(type="dot"), 3, [R, Q]), InfoNce(InfoNceConfig(type="info_nce"))
    ids = numbers(graph, {R: [(0, 0), (1, 1)], Q: [(0, 3), (2, 1)]})
    train = {e: np.arange(3) for e in (R, Q)}

    def batch_for(share: RankSlice) -> MiniBatch:
        return LinkSeeder(graph, train, UniformNegativesConfig(type="uniform", **options), 1, share)(ids, START)  # type: ignore[arg-type]

    def loss_of(batch: MiniBatch, group: Group) -> tuple[torch.Tensor, float]:
        vectors = {t: tables[t][at] for t, at in batch.seeds.items()}
        return sum_of_losses(SimpleNamespace(group=group), head, loss, vectors, batch)  # type: ignore[arg-type]

    alone, count = loss_of(batch_for(RankSlice()), SINGLE_PROCESS)
    wanted = torch.autograd.grad(alone, list(tables.values()))
    batches = [batch_for(RankSlice(rank, size)) for rank in range(size)]
    pools = [tables["b"][b.seeds["b"]][b.targets.pools["b"].mine] for b in batches]  # type: ignore[union-attr]
    found = [loss_of(batch, SimulatedGroup(pools)) for batch in batches]
    together = torch.stack([one for one, _ in found]).sum()
    assert sum(n for _, n in found) == count
    assert together.item() == pytest.approx(alone.item(), rel=1e-5)
    for mine, theirs in zip(torch.autograd.grad(together, list(tables.values())), wanted, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert all(b.asked[R][0].tolist() == batches[0].asked[R][0].tolist() for b in batches)


def test_frequencies_known_answer() -> None:
    many, few = np.array([0, 0, 0, 1]), np.array([1, 2])
    assert target_frequencies([many, few], 4).tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6, 0])
    # An epoch takes 2 of the 4: each counts half.
    assert target_frequencies([many, few], 4, most=2).tolist() == pytest.approx([1.5 / 4, 1.5 / 4, 1 / 4, 0])
    # 6 targets of the batch and 2 uniform nodes of 4: node 0 is expected 3.5 times, 2 if all were uniform.
    got = log_sampling_ratio(np.array([0.5, 0.0]), 6, 2, 4)
    assert got.tolist() == pytest.approx([math.log(3.5 / 2), math.log(0.5 / 2)])
    assert log_sampling_ratio(np.full(3, 1 / 3), 6, 2, 3).tolist() == pytest.approx([0, 0, 0])


def test_number_nodes() -> None:
    seeds, at = number_nodes([("a", np.array([7, 3])), ("b", np.array([3])), ("a", np.array([3, 9, 3]))])
    assert {t: ids.tolist() for t, ids in seeds.items()} == {"a": [3, 7, 9], "b": [3]}
    assert [x.tolist() for x in at] == [[1, 0], [0], [0, 2, 0]]


def test_one_relation_corrects_too(graph: LocalGraph) -> None:
    seeder = LinkSeeder(
        graph, {R: np.arange(3)}, UniformNegativesConfig(type="uniform", uniform=2, popularity_correction=True), seed=0
    )
    batch = seeder(np.arange(3), START)
    (part,) = link_parts(batch.targets)
    _, candidates = nodes(batch, part)
    frequency = [1 / 3, 1 / 3, 1 / 3, 0]
    want = log_sampling_ratio(np.array([frequency[c] for c in candidates]), 3, 2, 4)
    assert part.log_q is not None
    assert part.log_q.tolist() == pytest.approx(want.tolist())


SIMILAR, BUYS = ("item", "similar", "item"), ("user", "buys", "item")
REVERSES = {SIMILAR: ("item", "similar_rev", "item"), BUYS: ("item", "buys_rev", "user")}


@pytest.mark.parametrize("exclude", [True, False])
def test_no_target_edge_of_any_relation_is_a_message(shop: tuple[Path, Path], exclude: bool) -> None:
    graph = LocalGraph(shop[1])
    train = {e: np.arange(graph.manifest.edge(e).count) for e in (BUYS, SIMILAR)}
    seeder = LinkSeeder(graph, train, UniformNegativesConfig(type="uniform", uniform=4), seed=1)
    ids = np.random.default_rng(0).permutation(sum(map(len, train.values())))[:64]
    sampler = SampleNeighbors(graph, [FanoutByType(default=-1)] * 2, seed=1, exclude_targets=exclude)
    batch = sampler(seeder(ids, START))
    parts = link_parts(batch.targets)
    assert [p.edge_type for p in parts] == [BUYS, SIMILAR]
    assert sum(len(p.sources) for p in parts) == 64
    leaked = 0
    for part in parts:
        s_type = part.edge_type[0]
        source = batch.seeds[s_type][part.sources]
        target = torch.tensor(nodes(batch, part)[1][: len(source)])
        chosen = ids[(ids >= len(train[BUYS])) == (part.edge_type == SIMILAR)]
        edge_ids = chosen - (len(train[BUYS]) if part.edge_type == SIMILAR else 0)
        for got, want in zip((source, target), graph.edges(part.edge_type, edge_ids)):
            np.testing.assert_array_equal(got.numpy(), want)
        banned = set(zip(source.tolist(), target.tolist()))
        ids_of = {t: i.numpy() for t, i in batch.input_ids.items()}
        for edge_type, flipped in ((part.edge_type, False), (REVERSES[part.edge_type], True)):
            for block in batch.blocks:
                if (r := block.relations.get(edge_type)) is not None:
                    to = ids_of[edge_type[2]][np.repeat(r.rows.numpy(), np.diff(r.offsets.numpy()))].tolist()
                    of = ids_of[edge_type[0]][r.sources.numpy()].tolist()
                    seen = set(zip(to, of) if flipped else zip(of, to))
                    leaked += len(seen & banned)
    assert (leaked == 0) == exclude


def test_a_batch_is_a_function_of_its_position(graph: LocalGraph) -> None:
    train = {e: np.arange(3) for e in (R, Q)}
    seeder = LinkSeeder(graph, train, UniformNegativesConfig(type="uniform", uniform=50), seed=1)

    def drawn(step: int) -> list[list[int]]:
        batch = seeder(np.array([0, 4]), StreamPosition(0, step))
        return [nodes(batch, part)[1] for part in link_parts(batch.targets)]

    assert drawn(3) == drawn(3) != drawn(4)


@pytest.mark.parametrize("corrected", [True, False])
def test_correction_keeps_popularity(corrected: bool) -> None:
    """One score a target, nothing known of the source: with log Q scores come to log popularity, without to none."""
    popularity = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    scores = torch.zeros(5, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.05)
    loss = InfoNce(InfoNceConfig(type="info_nce", temperature=1.0))
    for step in range(300):
        targets = np.random.default_rng(step).choice(5, size=128, p=popularity)
        log_q = torch.from_numpy(log_sampling_ratio(popularity[targets], 128, 0, 5)).float()
        mask = torch.zeros(128, 128, dtype=torch.bool)
        value = loss(scores[targets].expand(128, 128), mask, True, log_q if corrected else None)
        optimizer.zero_grad()
        (value / 128).backward()
        optimizer.step()
    found = (scores - scores.mean()).detach().numpy()
    want = np.log(popularity) - np.log(popularity).mean() if corrected else np.zeros(5)
    np.testing.assert_allclose(found, want, atol=0.15)


@pytest.mark.parametrize("options", [{}, {"in_batch": False, "uniform": 3}])
@pytest.mark.parametrize("share", [RankSlice(), RankSlice(1, 2)])
def test_many_relations_make_the_batches_of_few(
    graph: LocalGraph, monkeypatch: pytest.MonkeyPatch, share: RankSlice, options: dict[str, object]
) -> None:
    """Inverses among them; the edges of many are kept together, those of few are read relation by relation."""
    negatives = UniformNegativesConfig(type="uniform", **options)  # type: ignore[arg-type]
    train = {e: np.arange(3) for e in (R, Q, inverse_of(R), inverse_of(Q))}
    ids = np.array([0, 4, 7, 2, 11, 9, 6, 3])
    batches = []
    for many in (100, 1):
        monkeypatch.setattr("graphstorm_like.sampling.links.MANY", many)
        batches.append(LinkSeeder(graph, train, negatives, 1, share)(ids, START))
    few, many_batch = batches
    assert {t: s.tolist() for t, s in few.seeds.items()} == {t: s.tolist() for t, s in many_batch.seeds.items()}
    for one, other in zip(few.targets.links, many_batch.targets.links, strict=True):  # type: ignore[union-attr]
        assert (one.edge_type, one.columns) == (other.edge_type, other.columns)
        assert one.sources.tolist() == other.sources.tolist()
        assert one.mask.tolist() == other.mask.tolist()
    assert any(part.mask.any() for part in few.targets.links)  # type: ignore[union-attr]
