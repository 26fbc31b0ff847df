"""Typed common neighbours beside a decoder: known answers, no row tells of itself, ranks and predictions use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.pair_terms import CommonNeighborsConfig, PopularityTermConfig, SumConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.group import SINGLE_PROCESS
from graphstorm_like.tasks import Evaluation, LinkPrediction
from graphstorm_like.tasks.outputs import Asked
from graphstorm_like.tasks.pair_terms.base import PairTerm
from graphstorm_like.tasks.pair_terms.common_neighbors import CommonNeighbors
from graphstorm_like.tasks.pair_terms.popularity import Popularity
from graphstorm_like.tasks.pair_terms.sum import Sum
from graphstorm_like.training.experiment import build_experiment

R, Q = ("a", "r", "a"), ("a", "q", "b")
EDGES = {R: [(0, 1), (1, 2), (0, 3), (3, 2), (4, 2)], Q: [(0, 0), (2, 0), (4, 1), (2, 1)]}


def small_graph(folder: Path, partitions: int = 1) -> LocalGraph:
    """a0..a4, b0, b1 and EDGES; a4 -r-> a2 is a test edge."""
    for name, count in (("a", 5), ("b", 2)):
        pq.write_table(pa.table({"id": list(range(count))}), folder / f"{name}.parquet")
    for edge_type, edges in EDGES.items():
        split = ["test" if edge == (4, 2) else "valid" if edge == (3, 2) else "train" for edge in edges]
        table = pa.table({"source": [s for s, _ in edges], "target": [t for _, t in edges], "split": split})
        pq.write_table(table, folder / f"{edge_type[1]}.parquet")
    edges = []
    for source, relation, target in (R, Q):
        edges.append({"source": source, "relation": relation, "target": target, "files": f"{relation}.parquet"})
    edges[0]["split"] = {"column": "split"}
    data = {
        "graph": {
            "path": str(folder / f"g{partitions}"),
            "base": str(folder),
            "nodes": {t: {"files": f"{t}.parquet", "id": "id"} for t in "ab"},
            "edges": edges,
            "partitions": {"method": "random", "count": partitions},
        },
        "task": {"type": "link_prediction", "edge_type": "a:r:a"},
    }
    build_graph(build_pipeline(data).graph)
    return LocalGraph(folder / f"g{partitions}", {R: None})


def numbers(graph: LocalGraph, node_type: str) -> dict[int, int]:
    """Our number of each id."""
    return {int(name): i for i, name in enumerate(graph.ids(node_type).to_pylist())}


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.known_answer("pair_terms/common_neighbors")
def test_known_answer(tmp_path: Path, partitions: int) -> None:
    """Shown: 0-1, 1-2, 0-3 of r; 0-b0, 2-b0, 4-b1, 2-b1 of q. Between 0 and 2: over a1 (r, r), degree 2; over b0 (q,
    then q back), degree 2. Between 4 and 2: over b1."""
    graph = small_graph(tmp_path, partitions)
    a = numbers(graph, "a")
    term = CommonNeighbors(CommonNeighborsConfig(type="common_neighbors", kinds=20), graph, R)
    assert term.get_buffer("codes").tolist() == [-1] * 20  # no path connects the ends of a training edge
    ways = term.ways
    order = [edge.edge_type for edge in graph.manifest.edges if not edge.is_reverse]
    r, q = 2 * order.index(R), 2 * order.index(Q)
    term.get_buffer("codes")[:3] = torch.tensor([r * ways + r, q * ways + q + 1, r * ways + r + 1])
    with torch.no_grad():
        term.weights[:3] = torch.tensor([1.0, 10.0, 100.0])
    sources = np.array([a[0], a[4], a[3]])
    got = term(sources, None).detach().numpy()
    want = np.zeros((3, 5))
    half = np.log1p(0.5)
    want[0, a[2]] = half * 1.0 + half * 10.0
    want[1, a[2]] = half * 10.0
    np.testing.assert_allclose(got, want, atol=1e-6)
    repeated = np.array([a[2], a[0], a[2]])
    np.testing.assert_allclose(term(sources, repeated).detach(), want[:, repeated], atol=1e-6)
    pairs = np.array([[a[2], a[1]], [a[2], a[2]], [a[0], a[4]]])
    np.testing.assert_allclose(term.of_pairs(sources, pairs).detach(), np.take_along_axis(want, pairs, 1), atol=1e-6)
    # The row about the edge 0 -> 1 has no path over it: that to 2 is left with b0.
    got = term(np.array([a[0], a[0]]), None, np.array([a[1], a[3]])).detach().numpy()
    np.testing.assert_allclose(got[0, a[2]], half * 10.0, atol=1e-6)
    np.testing.assert_allclose(got[1], want[0], atol=1e-6)


def test_an_edge_does_not_tell_of_itself(shop: tuple[Path, Path]) -> None:
    """The term of a pair is the same in a graph without its edge: of training edges, which are in the graph."""
    edge_type = ("item", "similar", "item")
    graph = LocalGraph(shop[1], {edge_type: None})
    term = CommonNeighbors(CommonNeighborsConfig(type="common_neighbors", kinds=30), graph, edge_type)
    assert (term.get_buffer("codes") >= 0).sum() > 1
    with torch.no_grad():
        term.weights.copy_(torch.arange(1.0, 31.0))
    rows = graph.edge_rows(edge_type, "train")[:6]
    sources, targets = graph.edges(edge_type, rows)
    with_it = term(sources, None, targets).detach()
    for i, row in enumerate(rows.tolist()):
        hidden = LocalGraph(shop[1], {edge_type: None})
        before = hidden.hidden_rows

        def without(e: tuple[str, str, str], row: int = row, before: Callable[..., np.ndarray] = before) -> np.ndarray:
            return np.append(before(e), row) if e == edge_type else before(e)

        hidden.hidden_rows = without  # type: ignore[method-assign]
        other = CommonNeighbors(CommonNeighborsConfig(type="common_neighbors", kinds=30), hidden, edge_type)
        other.load_state_dict(term.state_dict())
        alone = other(sources[[i]], None).detach()
        torch.testing.assert_close(with_it[i, targets[i]], alone[0, targets[i]])
        # Others too; degrees of nodes in between may count the edge where another relation has no part in it.
        assert torch.equal(with_it[i] == 0, alone[0] == 0)


def test_gradients_of_weights(shop: tuple[Path, Path]) -> None:
    edge_type = ("item", "similar", "item")
    graph = LocalGraph(shop[1], {edge_type: None})
    term = CommonNeighbors(CommonNeighborsConfig(type="common_neighbors", kinds=4), graph, edge_type).double()
    sources = np.arange(5)

    def scores(weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(term, {"weights": weights}, (sources, None))

    assert torch.autograd.gradcheck(scores, (torch.randn(4, dtype=torch.float64, requires_grad=True),))


def test_codes_of_other_relations_are_refused(tmp_path: Path) -> None:
    """Their numbers would stand for other pairs of relations."""
    config = CommonNeighborsConfig(type="common_neighbors", kinds=4)
    term = CommonNeighbors(config, small_graph(tmp_path), R)
    state = {name: value.clone() for name, value in term.state_dict().items()}
    term.load_state_dict(state)
    for relations in (state["relations"].flip(0), state["relations"][:1]):
        with pytest.raises(DataError, match=r"must have the relations, in their order, .* \(got a:r:a, a:q:b, where"):
            term.load_state_dict({**state, "relations": relations})


PAIRS = {"type": "common_neighbors", "kinds": 4}
TEXTS = {"type": "text_neighbors", "k": 3}


def test_a_list_is_a_sum(shop: tuple[Path, Path], shop_config: Callable[..., Pipeline]) -> None:
    listed = shop_config("link_prediction", task={"pairs": [PAIRS, {"type": "popularity"}]})
    written = {"type": "sum", "terms": [PAIRS, {"type": "popularity"}]}
    assert listed.task == shop_config("link_prediction", task={"pairs": written}).task
    with pytest.raises(ConfigError, match=r"task\.pairs\[1\]\.kinds: unknown key for type popularity"):
        shop_config("link_prediction", task={"pairs": [PAIRS, {"type": "popularity", "kinds": 4}]})
    with pytest.raises(ConfigError, match=r"task\.pairs\[0\]\.lr_factor: must be greater than 0"):
        shop_config("link_prediction", task={"pairs": [{"type": "popularity", "lr_factor": 0}]})
    wrong = {"type": "sum", "terms": [{"type": "popularity", "kinds": 4}]}
    with pytest.raises(ConfigError, match=r"task\.pairs\.terms\[0\]\.kinds: unknown key for type popularity"):
        shop_config("link_prediction", task={"pairs": wrong})
    with pytest.raises(ConfigError, match=r"task\.pairs: must have at least 1 entry"):
        shop_config("link_prediction", task={"pairs": []})
    with pytest.raises(ConfigError, match=r"task\.pairs\[0\]\.type: must be a term of its own \(got 'sum'\)"):
        shop_config("link_prediction", task={"pairs": [written]})


@pytest.mark.known_answer("pair_terms/sum")
def test_known_answer_of_a_sum(shop: tuple[Path, Path]) -> None:
    edge_type = ("item", "similar", "item")
    graph = LocalGraph(shop[1], {edge_type: None})
    common = CommonNeighborsConfig(type="common_neighbors", kinds=4)
    popularity = PopularityTermConfig(type="popularity")
    both = Sum(SumConfig(type="sum", terms=[common, popularity]), graph, edge_type)
    parts = CommonNeighbors(common, graph, edge_type), Popularity(popularity, graph, edge_type)
    with torch.no_grad():
        for part, mine in zip(parts, both.terms, strict=True):
            for number, parameter in enumerate([*part.parameters()], start=1):
                parameter.fill_(number)
            mine.load_state_dict(part.state_dict())
            next(iter(mine.parameters())).mul_(2.0)
    sources, targets = graph.edges(edge_type, graph.edge_rows(edge_type, "train")[:5])
    drawn = np.array([9, 3, 9])
    for ask in (
        lambda term: term(sources, None, targets),
        lambda term: term.of_pairs(sources, targets[:, None], targets),
        lambda term: term.of_true_and_drawn(sources, targets, drawn),
    ):
        torch.testing.assert_close(ask(both), 2.0 * (ask(parts[0]) + ask(parts[1])))
    assert both(sources, None).sum() > 0


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.known_answer("pair_terms/popularity")
def test_known_answer_of_popularity(tmp_path: Path, partitions: int) -> None:
    """Training edges of r lead to 1, 2 and 3; the valid and test edges to 2 do not count, nor does a row's own."""
    graph = small_graph(tmp_path, partitions)
    a = numbers(graph, "a")
    term = Popularity(PopularityTermConfig(type="popularity"), graph, R)
    assert term(np.array([a[0]]), None).tolist() == [[0.0] * 5]  # at first
    with torch.no_grad():
        term.weight.fill_(3.0)
    once = 3.0 * np.log(2.0)
    want = np.zeros(5)
    want[[a[1], a[2], a[3]]] = once
    sources, targets = np.array([a[0], a[1]]), np.array([a[1], a[2]])
    np.testing.assert_allclose(term(sources, None).detach(), [want, want], rtol=1e-6)
    got = term(sources, np.array([a[1], a[3], a[1], a[4]]), targets).detach()
    np.testing.assert_allclose(got, [[0.0, once, 0.0, 0.0], [once, once, once, 0.0]], rtol=1e-6)
    got = term.of_true_and_drawn(sources, targets, np.array([a[3], a[0]])).detach()
    np.testing.assert_allclose(got, [[0.0, once, 0.0], [0.0, once, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(term.of_pairs(sources, targets[:, None]).detach(), [[once], [once]], rtol=1e-6)


@pytest.mark.parametrize(
    ("pairs", "candidates"),
    [(PAIRS, "all"), (PAIRS, 30), ([TEXTS, {"type": "popularity"}], "all"), ([TEXTS, {"type": "popularity"}], 30)],
)
def test_ranks_and_predictions_read_them(
    shop_config: Callable[..., Pipeline], pairs: object, candidates: object
) -> None:
    config = shop_config("link_prediction", task={"pairs": pairs, "ranking": {"candidates": candidates}})
    experiment = build_experiment(config, Reporter(quiet=True))
    task = experiment.task
    assert isinstance(task, LinkPrediction)
    assert task.pairs is not None
    how = Evaluation("layer_wise", (), 0)
    before = task.evaluate(experiment.embedder(), "valid", how)["mrr"]
    with torch.no_grad():
        for parameter in task.pairs.parameters():
            parameter.fill_(100.0)
    after = task.evaluate(experiment.embedder(), "valid", how)["mrr"]
    assert after != before
    vectors = experiment.embedder().layer_wise(["item"])
    predicted = task.predictions(vectors, config.infer, lambda *_: None)
    table = predicted.table(slice(0, 3)).to_pydict()
    ids = {name: i for i, name in enumerate(experiment.graph.ids("item").to_pylist())}
    sources, targets = (np.array([ids[name] for name in table[end]]) for end in ("source", "target"))
    asked = task.asked_predictions(vectors, config.infer, lambda *_: None, Asked(pairs=(sources, targets)))
    again = asked.table(slice(0, len(sources))).to_pydict()
    np.testing.assert_allclose(again["score"], table["score"], rtol=1e-4)
    assert max(table["score"]) > 2.0  # more than a cosine
    assert task.group is SINGLE_PROCESS
    assert task.end_vectors() == ()


@pytest.mark.parametrize("in_batch", [True, False])
def test_weights_learn(shop_config: Callable[..., Pipeline], in_batch: bool) -> None:
    pairs = [PAIRS, TEXTS, {"type": "popularity"}]
    task = {"pairs": pairs, "negatives": {"in_batch": in_batch, "uniform": 30}}
    experiment = build_experiment(shop_config("link_prediction", task=task), Reporter(quiet=True))
    pipeline = experiment.learner.batches()
    stream = experiment.task.stream(64, 0)
    from graphstorm_like.sampling.batch import StreamPosition

    batch = pipeline.make(stream.step_ids(stream.epoch_order(0), 0), StreamPosition(0, 0))
    experiment.learner.backward(batch)
    assert isinstance(experiment.task, LinkPrediction)
    assert isinstance(experiment.task.pairs, Sum)
    rates = {id(p): group.lr for group in experiment.learner.groups() for p in group.parameters}
    for parameter in experiment.task.pairs.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
        assert rates[id(parameter)] == pytest.approx(10.0 * experiment.pipeline.train.lr)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"pairs": PAIRS, "negatives": {"queue": 4}}, r"pairs: must be left out with negatives\.queue"),
        ({"pairs": PAIRS, "edge_type": None, "edge_types": "all"}, r"pairs: must be left out with edge_types"),
    ],
)
def test_what_is_refused(shop_config: Callable[..., Pipeline], task: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop_config("link_prediction", task=task)


def test_no_index_knows_them(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"infer\.search: must be exact with task\.pairs"):
        shop_config("link_prediction", task={"pairs": PAIRS}, infer={"search": {"type": "ivf"}})


def by_hand(term: CommonNeighbors, sources: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
    """[n, all targets]: by loops over sets."""
    graph = term.graph
    relations = [edge.edge_type for edge in graph.manifest.edges if not edge.is_reverse]
    steps: dict[tuple[str, int], set[tuple[int, tuple[str, int]]]] = {}
    for number, edge_type in enumerate(relations):
        shown = np.setdiff1d(np.arange(graph.manifest.edge(edge_type).count), graph.hidden_rows(edge_type))
        for s, t in zip(*(end.tolist() for end in graph.edges(edge_type, shown)), strict=True):
            one, other = (edge_type[0], s), (edge_type[2], t)
            if one != other:
                steps.setdefault(one, set()).add((2 * number, other))
                steps.setdefault(other, set()).add((2 * number + 1, one))
    source_type, _, target_type = term.edge_type
    own = 2 * relations.index(term.edge_type)
    found = np.zeros((len(sources), graph.manifest.node(target_type).count))
    for row, source in enumerate(sources.tolist()):
        sums: dict[tuple[int, int], float] = {}
        for way, between in steps.get((source_type, source), ()):
            degree = len({end for _, end in steps[between]})
            is_own = targets is not None and way == own and between == (target_type, int(targets[row]))
            if degree > term.config.most_neighbors or is_own:
                continue
            for way_out, (end_type, end) in steps[between]:
                code = way * term.ways + way_out
                if end_type == target_type and (end_type, end) != (source_type, source):
                    sums[end, code] = sums.get((end, code), 0.0) + 1 / degree
        for kind, code in enumerate(term.get_buffer("codes").tolist()):
            for (end, of_path), value in sums.items():
                found[row, end] += float(term.weights[kind].detach()) * np.log1p(value) * (of_path == code)
    return found


def test_pairs_are_scored_in_blocks_of_few_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources have candidates of their own, which each block scores for all its sources."""
    asked = []

    class Product(PairTerm):
        def forward(
            self, sources: np.ndarray, candidates: np.ndarray | None, targets: np.ndarray | None = None
        ) -> torch.Tensor:
            assert candidates is not None
            asked.append(len(sources) * len(candidates))
            return torch.from_numpy(np.outer(sources, candidates))

    sources, candidates = np.arange(100), np.random.default_rng(0).permutation(700).reshape(100, 7)
    monkeypatch.setattr("graphstorm_like.tasks.pair_terms.base.TERMS", 1_000)
    for count in (100, 5, 0):
        got = Product().of_pairs(sources[:count], candidates[:count])
        assert got.tolist() == (sources[:count, None] * candidates[:count]).tolist()
    assert max(asked) <= 1_000
    assert len(asked) < 15
    few = Product().of_pairs(sources, candidates % 20)  # of 20 nodes, 50 rows at once
    assert few.tolist() == (sources[:, None] * (candidates % 20)).tolist()
    assert asked[-2:] == [1_000, 1_000]
    one = Product().of_pairs(sources[:2], np.arange(2_000).reshape(2, 1_000))  # a source's own are never divided
    assert one.shape == (2, 1_000)


@pytest.mark.parametrize("block", [4_000_000, 50])
def test_all_ways_of_asking_agree(shop: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """With loops over sets: all targets, some that repeat, of each source its own, the true ones and drawn ones."""
    monkeypatch.setattr("graphstorm_like.tasks.pair_terms.common_neighbors.BLOCK", block)
    monkeypatch.setattr("graphstorm_like.tasks.pair_terms.base.ROWS", 3)
    edge_type = ("item", "similar", "item")
    graph = LocalGraph(shop[1], {edge_type: None})
    config = CommonNeighborsConfig(type="common_neighbors", kinds=12, most_neighbors=30)
    term = CommonNeighbors(config, graph, edge_type).double()
    with torch.no_grad():
        term.weights.copy_(torch.arange(1.0, 13.0))
    sources, targets = graph.edges(edge_type, graph.edge_rows(edge_type, "train")[:8])
    drawn = np.array([9, 3, 9, int(targets[0]), 200])
    for own in (None, targets):
        want = by_hand(term, sources, own)
        assert (want > 0).sum() > 20
        np.testing.assert_allclose(term(sources, None, own).detach(), want, rtol=1e-6)
        np.testing.assert_allclose(term(sources, drawn, own).detach(), want[:, drawn], rtol=1e-6)
        pairs = np.stack([targets, np.full(8, 9), targets, sources], axis=1)
        of_pairs = term.of_pairs(sources, pairs, own).detach()
        np.testing.assert_allclose(of_pairs, np.take_along_axis(want, pairs, axis=1), rtol=1e-6)
    of_batch = term.of_true_and_drawn(sources, targets, drawn).detach()
    both = np.concatenate([want[np.arange(8), targets][:, None], want[:, drawn]], axis=1)
    np.testing.assert_allclose(of_batch, both, rtol=1e-6)
    nothing = np.empty(0, dtype=np.int64)  # a rank without edges in a step
    assert term(nothing, drawn, nothing).shape == (0, 5)
    assert term.of_true_and_drawn(nothing, nothing, drawn).shape == (0, 6)
    assert (want[np.arange(8), sources] == 0).all()  # nor does a source lead to itself
