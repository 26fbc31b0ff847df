"""Overlaps of surroundings by sketches: against exact counts within the error that theory gives, exactly the same as in
a graph without the row's own edge, the same for all ways of asking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.config.pair_terms import SketchesConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.negatives.paths import Table
from graphstorm_like.tasks import Evaluation, LinkPrediction
from graphstorm_like.tasks.outputs import Asked
from graphstorm_like.tasks.pair_terms import surroundings
from graphstorm_like.tasks.pair_terms.sketches import Sketches, features
from graphstorm_like.tasks.pair_terms.surroundings import (
    HashIndex,
    Surroundings,
    node_hashes,
    overlap,
    ranks,
    sizes_of,
)
from graphstorm_like.training.experiment import build_experiment

SIMILAR = ("item", "similar", "item")
CONFIG = SketchesConfig(type="sketches")


def table_of(edges: set[tuple[int, int]], count: int) -> Table:
    both = sorted(edges | {(b, a) for a, b in edges})
    rows, columns = (np.array([pair[i] for pair in both], dtype=np.int64) for i in range(2))
    return Table.of(rows, columns, np.ones(len(rows)), count)


def random_edges(count: int, degree: int, seed: int = 0) -> set[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(count, size=(count * degree // 2, 2)).tolist()
    return {(min(a, b), max(a, b)) for a, b in pairs if a != b}


def exact(table: Table) -> tuple[list[set[int]], list[set[int]]]:
    """Nodes within one and within two steps of each."""
    one = []
    for node in range(len(table.starts) - 1):
        one.append({node, *table.columns[table.starts[node] : table.starts[node + 1]].tolist()})
    return one, [set().union(*(one[other] for other in near)) for near in one]


@pytest.fixture(scope="module")
def drawn() -> tuple[Surroundings, list[set[int]], list[set[int]]]:
    """A random graph of 300 nodes with about 12 neighbours each; the last ones have none."""
    table = table_of(random_edges(296, 12), 300)
    return Surroundings(table, 128, 256), *exact(table)


def test_sketches_are_of_the_whole_sets(drawn: tuple[Surroundings, list[set[int]], list[set[int]]]) -> None:
    """The smallest hashes of each set, by a loop over its members; sizes within one step are exact."""
    sketched, *sets = drawn
    for node in (0, 17, 120, 298):
        for hashes, of_node in zip(sketched.near.hops, sets, strict=True):
            members = np.array(sorted(of_node[node]))
            assert hashes[node].tolist() == node_hashes(members, 128).min(axis=0).tolist()
    assert sketched.near.sizes[:, 0].tolist() == [len(near) for near in sets[0]]


def test_overlaps_against_exact_counts(drawn: tuple[Surroundings, list[set[int]], list[set[int]]]) -> None:
    """Of 40 x 60 nodes: errors of J of sqrt(J (1 - J) / K), of sizes of 1.04 / sqrt(M); 4.5 of them at most, and no
    bias."""
    sketched, *sets = drawn
    sources, targets = np.arange(40), np.arange(100, 160)
    near, others = sketched.near.of(sources), sketched.near.of(targets)
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
        equal = HashIndex(others.hops[j]).equal(near.hops[i])
        found = overlap(equal, 128, near.sizes[:, None, i], others.sizes[None, :, j])
        both = np.array([[len(sets[i][s] & sets[j][t]) for t in targets] for s in sources])
        union = np.array([[len(sets[i][s] | sets[j][t]) for t in targets] for s in sources])
        share = both / union
        error = union / (1 + share) * np.sqrt(share * (1 - share) / 128) + both * 1.04 / 16
        assert (np.abs(found - both) <= 4.5 * error + 1e-3).all()
        assert (found[both == 0] == 0).all()
        if both.max() > 0:
            assert abs(float((found - both).sum() / both.sum())) < 0.08
        assert np.corrcoef(found.ravel(), both.ravel())[0, 1] > 0.6


@pytest.mark.parametrize("registers", [64, 256, 1024])
def test_sizes_against_exact_counts(registers: int) -> None:
    """Within 4 standard errors, from sets that leave registers empty to large ones."""
    for size in (1, 10, 100, 1_000, 20_000):
        part, rank = ranks(np.arange(size) + 7, registers)
        zeros = np.zeros((1, registers), dtype=np.uint8)
        np.maximum.at(zeros[0], part, rank)
        assert sizes_of(zeros)[0] == pytest.approx(size, rel=4 * 1.04 / np.sqrt(registers), abs=0.51)
    assert sizes_of(np.zeros((1, registers), dtype=np.uint8))[0] == 0


def test_without_an_edge_as_in_the_graph_without_it() -> None:
    edges = random_edges(60, 4)
    whole = Surroundings(table_of(edges, 60), 32, 64)
    for one, other in sorted(edges)[::9]:
        alone = Surroundings(table_of(edges - {(one, other)}, 60), 32, 64)
        ends = np.array([one, other])
        found = whole.without(ends, ends[::-1])
        for got, want in zip(found.hops, alone.near.of(ends).hops, strict=True):
            assert np.array_equal(got, want)
        assert np.array_equal(found.sizes, alone.near.of(ends).sizes)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(random_edges(60, 6), 60)
    whole = Surroundings(table, 32, 64).near
    equal = HashIndex(whole.two).equal(whole.one)
    assert equal.tolist() == (whole.one[:, None] == whole.two).sum(axis=2).tolist()
    monkeypatch.setattr(surroundings, "ENTRIES", 7)
    monkeypatch.setattr(surroundings, "MATCHES", 11)
    again = Surroundings(table, 32, 64).near
    assert np.array_equal(again.one, whole.one)
    assert np.array_equal(again.two, whole.two)
    assert np.array_equal(again.sizes, whole.sizes)
    assert np.array_equal(HashIndex(again.two).equal(again.one), equal)


@pytest.mark.known_answer("pair_terms/sketches")
def test_features_known_answer() -> None:
    """Half of 4 hashes equal: J = 1/2, a third of both sizes in common. Of sizes 6, 24 and 12, 30."""
    equal = [np.full((1, 1), count, dtype=np.float32) for count in (2, 2, 2, 4)]
    sizes, others = (np.array([[of_end]], dtype=np.float32) for of_end in ([6.0, 24.0], [12.0, 30.0]))
    got = features(equal, 4, sizes, others)[0, 0].tolist()
    # Overlaps: 6 (of 18 / 3), 12 (of 36 / 3, all of the 12), 6 (of 36 / 3, but the source has 6), 24 (of 54 / 2 = 27).
    a11, a21, a12, a22 = 6.0, 6.0, 0.0, 12.0
    b_t, b_s = 12.0 - a11 - a21, 6.0 - a11 - a12
    assert got == pytest.approx([a11, a21, a12, a22, b_t, b_s, 30.0 - 24.0 - b_t, 0.0])


def term_of(graph: LocalGraph) -> Sketches:
    term = Sketches(CONFIG, graph, SIMILAR)
    torch.manual_seed(0)
    with torch.no_grad():
        torch.nn.init.normal_(term.hidden.weight)
        term.weights.normal_()
    return term


def test_all_ways_of_asking_agree(shop: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    term = term_of(LocalGraph(shop[1], {SIMILAR: None}))
    sources, candidates = np.array([3, 50, 3, 200]), np.array([9, 0, 9, 77, 239])
    whole = term(sources, None).detach()
    assert whole.shape == (4, 240)
    torch.testing.assert_close(term(sources, candidates).detach(), whole[:, candidates])
    pairs = np.array([[1, 2], [50, 4], [1, 2], [8, 8]])
    torch.testing.assert_close(term.of_pairs(sources, pairs).detach(), whole.gather(1, torch.from_numpy(pairs)))
    monkeypatch.setattr("graphstorm_like.models.link_heads.BLOCK", 500)
    torch.testing.assert_close(term(sources, None).detach(), whole)
    nothing = np.empty(0, dtype=np.int64)  # a rank without edges in a step
    assert term(nothing, candidates, nothing).shape == (0, 5)
    assert torch.equal(Sketches(CONFIG, term.graph, SIMILAR)(sources, candidates), torch.zeros(4, 5))  # at first


def test_an_edge_does_not_tell_of_itself(shop: tuple[Path, Path]) -> None:
    """The row of a training edge is that of a graph without the edge: of its own target exactly, and of others where
    their surroundings do not lead over it."""
    graph = LocalGraph(shop[1], {SIMILAR: None})
    term, rows = term_of(graph), graph.edge_rows(SIMILAR, "train")
    first = term._neighbors.first["item"]
    ends = [end + first for end in graph.edges(SIMILAR, rows)]
    rows = rows[term._alone(*ends)][:40:8]  # others have a twin in the other direction
    sources, targets = graph.edges(SIMILAR, rows)
    candidates = np.concatenate([targets, [5, 6, 7], targets[:1]])
    with_it = term(sources, candidates, targets).detach()
    plain = term(sources, candidates).detach()
    for i, row in enumerate(rows.tolist()):
        hidden = LocalGraph(shop[1], {SIMILAR: None})
        before = hidden.hidden_rows

        def without(e: tuple[str, str, str], row: int = row, before: Callable[..., np.ndarray] = before) -> np.ndarray:
            return np.append(before(e), row) if e == SIMILAR else before(e)

        hidden.hidden_rows = without  # type: ignore[method-assign]
        other = Sketches(CONFIG, hidden, SIMILAR)
        other.load_state_dict(term.state_dict())
        alone = other(sources[[i]], candidates).detach()[0]
        torch.testing.assert_close(with_it[i, i], alone[i])
        assert with_it[i, i] != plain[i, i]
        same = other.surroundings.near.of(candidates).two == term.surroundings.near.of(candidates).two
        unchanged = torch.from_numpy(same.all(axis=1))
        torch.testing.assert_close(with_it[i][unchanged], alone[unchanged])
    assert with_it[0, 0] == with_it[0, -1]  # wherever the target stands
    wide = np.tile(candidates, (len(sources), 1))
    torch.testing.assert_close(term.of_pairs(sources, wide, targets).detach(), with_it)
    batch = term.of_true_and_drawn(sources, targets, candidates[5:]).detach()
    torch.testing.assert_close(batch, torch.cat([with_it.diagonal()[:, None], with_it[:, 5:]], dim=1))


def test_edges_of_other_relations_stay(shop: tuple[Path, Path]) -> None:
    """Where another edge connects the two ends too, the row's own has no effect to be removed."""
    term = term_of(LocalGraph(shop[1], {SIMILAR: None}))
    own, _ = term._own
    total = len(term._neighbors.degrees)
    first = term._neighbors.first["item"]
    forward = {(int(key // total) - first, int(key % total) - first) for key in own}
    twins = [(s, t) for s, t in forward if (t, s) in forward]
    singles = [(s, t) for s, t in forward if (t, s) not in forward]
    assert twins
    for pairs, alone in ((twins, 0), (singles, 1)):
        s, t = (np.array([pair[i] for pair in pairs[:5]]) for i in range(2))
        assert len(term._alone(s + first, t + first)) == alone * len(s)
    s, t = np.array([twins[0][0]]), np.array([twins[0][1]])
    assert torch.equal(term(s, t, t), term(s, t))


def test_gradients(shop: tuple[Path, Path]) -> None:
    term = term_of(LocalGraph(shop[1], {SIMILAR: None})).double()
    named = dict(term.named_parameters())
    given = [parameter.detach().clone().requires_grad_() for parameter in named.values()]

    def scores(*values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(term, dict(zip(named, values, strict=True)), (np.arange(2), np.arange(3)))

    assert torch.autograd.gradcheck(scores, given)


PAIRS = {"type": "sketches", "hashes": 64, "registers": 64}


@pytest.mark.parametrize("candidates", ["all", 30])
def test_training_ranks_and_predictions_read_them(shop_config: Callable[..., Pipeline], candidates: object) -> None:
    config = shop_config("link_prediction", task={"pairs": PAIRS, "ranking": {"candidates": candidates}})
    experiment = build_experiment(config, Reporter(quiet=True))
    task = experiment.task
    assert isinstance(task, LinkPrediction)
    assert isinstance(task.pairs, Sketches)
    batch = experiment.learner.batches().make(task.rows("train")[:32], StreamPosition(0, 0))
    experiment.learner.backward(batch)
    assert task.pairs.weights.grad is not None
    assert task.pairs.weights.grad.abs().sum() > 0
    how = Evaluation("layer_wise", (), 0)
    before = task.evaluate(experiment.embedder(), "valid", how)["mrr"]
    with torch.no_grad():
        task.pairs.weights.fill_(10.0)
    assert task.evaluate(experiment.embedder(), "valid", how)["mrr"] != before
    vectors = experiment.embedder().layer_wise(["item"])
    table = task.predictions(vectors, config.infer, lambda *_: None).table(slice(0, 3)).to_pydict()
    ids = {name: i for i, name in enumerate(experiment.graph.ids("item").to_pylist())}
    sources, targets = (np.array([ids[name] for name in table[end]]) for end in ("source", "target"))
    asked = task.asked_predictions(vectors, config.infer, lambda *_: None, Asked(pairs=(sources, targets)))
    np.testing.assert_allclose(asked.table(slice(0, len(sources))).to_pydict()["score"], table["score"], rtol=1e-4)
