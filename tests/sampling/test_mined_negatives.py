"""Mined negatives: lists by words, common neighbours and walks against dense products; guards; mixes of kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.config.negatives import (
    MinedPageRankConfig,
    MinedResourceAllocationConfig,
    MinedTextConfig,
    MixNegativesConfig,
)
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.negatives import NEGATIVES, Negatives, two_steps
from graphstorm_like.sampling.negatives.best import Dense, Pairs, Scorer, Sparse, best_wrong
from graphstorm_like.sampling.negatives.mined import MinedNegatives
from graphstorm_like.sampling.negatives.mined_page_rank import walks
from graphstorm_like.sampling.negatives.mined_resource_allocation import allocation
from graphstorm_like.sampling.negatives.mined_text import cosines, word_table
from graphstorm_like.sampling.negatives.paths import Neighbors
from graphstorm_like.sampling.true_targets import TrueTargets

SIMILAR, BUYS = ("item", "similar", "item"), ("user", "buys", "item")


@pytest.fixture(scope="module")
def graph(shop: tuple[Path, Path]) -> LocalGraph:
    """The shop, whose held-out pairs of similar items are hidden."""
    return LocalGraph(shop[1], {SIMILAR: None})


def made(graph: LocalGraph, settings: dict[str, Any]) -> Negatives:
    config = MixNegativesConfig.family.validate(settings)  # type: ignore[union-attr]
    train = {SIMILAR: TrueTargets.of_edges(graph, SIMILAR, graph.edge_rows(SIMILAR, "train"))}
    return NEGATIVES.of(config)(config, graph, train)


def dense_neighbors(graph: LocalGraph) -> np.ndarray:
    """[users and items, the same] 1 where two nodes have an edge that passes messages."""
    first = {"item": 0, "user": graph.manifest.node("item").count}
    assert list(graph.manifest.nodes) == ["item", "user"]
    count = sum(node.count for node in graph.manifest.nodes.values())
    dense = np.zeros((count, count))
    for edge_type in (SIMILAR, BUYS):
        source, target = graph.edges(edge_type)
        shown = np.setdiff1d(np.arange(len(source)), graph.hidden_rows(edge_type))
        dense[source[shown] + first[edge_type[0]], target[shown] + first[edge_type[2]]] = 1.0
    dense = np.maximum(dense, dense.T)
    np.fill_diagonal(dense, 0.0)
    return dense


def all_scores(scorer: Scorer, sources: list[int], targets: int) -> np.ndarray:
    """[sources, targets]"""
    whole = np.zeros((len(sources), targets))
    for piece in scorer.pieces(np.array(sources)):
        assert isinstance(piece, Sparse)
        assert piece.num_targets == targets
        whole.reshape(-1)[piece.keys] = piece.scores
    return whole


@pytest.mark.known_answer("negatives/mined_resource_allocation")
def test_resource_allocation_known_answer(graph: LocalGraph) -> None:
    dense, items = dense_neighbors(graph), graph.manifest.node("item").count
    degrees = dense.sum(axis=1)
    want = (dense / np.maximum(degrees, 1)[None, :]) @ dense
    neighbors = Neighbors.of(graph, 1000, {})
    assert len(graph.hidden_rows(SIMILAR)) > 0
    sources = [3, 100, 7]
    found = all_scores(allocation(neighbors, SIMILAR, items), sources, items)
    np.testing.assert_allclose(found, want[sources, :items], rtol=1e-5)
    users = all_scores(allocation(neighbors, BUYS, items), [2], items)
    np.testing.assert_allclose(users, want[[items + 2], :items], rtol=1e-5)
    few = np.where(degrees <= 9, 1.0, 0.0)
    want = (dense * few / np.maximum(degrees, 1)[None, :]) @ dense * few[:, None]
    found = all_scores(allocation(Neighbors.of(graph, 9, {}), SIMILAR, items), sources, items)
    np.testing.assert_allclose(found, want[sources, :items], rtol=1e-5)


def test_a_source_without_training_edges_has_no_list(graph: LocalGraph) -> None:
    mined = made(graph, {"type": "mined_resource_allocation", "candidates": 3})
    assert isinstance(mined, MinedNegatives)
    known = mined.sources[SIMILAR]
    strangers = np.array([np.setdiff1d(np.arange(known.max()), known)[0], known.max() + 1])
    given = mined.given(SIMILAR, np.concatenate([known[:1], strangers]), np.zeros(3, dtype=np.int64))
    assert given is not None
    assert given[0].tolist() == mined.lists[SIMILAR][0].tolist()
    assert (given[1:] == -1).all()


@pytest.mark.parametrize("kind", ["mined_resource_allocation", "mined_page_rank"])
def test_held_out_edges_that_pass_messages_do_not_lead_to_negatives(
    graph: LocalGraph, shop: tuple[Path, Path], kind: str
) -> None:
    """As with `task.past_passes`: the lists are those of the graph that hides them."""
    hides, shows = made(graph, {"type": kind}), made(LocalGraph(shop[1]), {"type": kind})
    assert isinstance(hides, MinedNegatives)
    assert isinstance(shows, MinedNegatives)
    np.testing.assert_array_equal(shows.lists[SIMILAR], hides.lists[SIMILAR])


@pytest.mark.known_answer("negatives/mined_page_rank")
def test_page_rank_known_answer(graph: LocalGraph) -> None:
    dense, items = dense_neighbors(graph), graph.manifest.node("item").count
    step = dense / np.maximum(dense.sum(axis=1), 1)[:, None]
    config = MinedPageRankConfig(type="mined_page_rank", restart=0.15, steps=3)
    want, reached = np.zeros_like(dense), 0.15 * np.eye(len(dense))
    for _ in range(4):
        want += reached
        reached = 0.85 * reached @ step
    got = all_scores(walks(Neighbors.of(graph, 1000, {}), SIMILAR, items, config), [3, 100], items)
    np.testing.assert_allclose(got, want[[3, 100], :items], atol=1e-4)


@pytest.mark.known_answer("negatives/mined_text")
def test_words_known_answer() -> None:
    texts = ["red lamp red", "blue lamp", "red chair", "green table"]
    words = ["red", "lamp", "blue", "chair", "green", "table"]
    weights = np.zeros((4, 6))
    for row, text in enumerate(texts):
        for word, count in Counter(text.split()).items():
            frequency = sum(word in other.split() for other in texts)
            weights[row, words.index(word)] = (1 + np.log(count)) * (np.log(5 / (1 + frequency)) + 1)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    table = word_table(texts, most_texts=10)
    everything = [0, 1, 2, 3]
    np.testing.assert_allclose(all_scores(cosines(table, 4), everything, 4), weights @ weights.T, atol=1e-6)
    np.testing.assert_allclose(all_scores(cosines(table, 2), [0], 2), (weights @ weights.T)[:1, 2:], atol=1e-6)
    weights[:, :2] = 0.0  # red and lamp are in two texts
    few = cosines(word_table(texts, 1), 4)
    np.testing.assert_allclose(all_scores(few, everything, 4), weights @ weights.T, atol=1e-6)


def config_of(**settings: Any) -> MinedTextConfig:
    return MinedTextConfig(type="mined_text", **settings)


def test_guards_against_true_targets_that_nobody_told() -> None:
    """Target 1 is known, source 0 is target 0 itself."""
    scores = np.array([[9.0, 2.0, 1.95, 1.8, 0.5, 0.0]], dtype=np.float32)
    zero, one = np.array([0]), np.array([1])

    def lists(positive: bool = True, **settings: Any) -> list[int]:
        found = []
        for width in (6, 1, 4):  # all at once, and piece by piece

            def pieces(width: int = width) -> Iterator[Dense]:
                for first in range(0, scores.shape[1], width):
                    yield Dense(scores[:, first : first + width].copy(), first)

            config = config_of(**settings)
            found.append(best_wrong(pieces, Pairs(zero, one), zero, 1, config, positive)[0].tolist())
        if positive:
            keys = np.flatnonzero(scores[0] > 0)
            sparse = Sparse(keys, scores[0, keys], scores.shape[1])
            found.append(best_wrong(lambda: iter([sparse]), Pairs(zero, one), zero, 1, config, True)[0].tolist())
        assert all(other == found[0] for other in found)
        return found[0]

    assert lists(candidates=2) == [2, 3]
    assert lists(candidates=4) == [2, 3, 4, -1]
    assert lists(candidates=4, positive=False) == [2, 3, 4, 5]
    assert lists(candidates=2, skip=1) == [3, 4]
    assert lists(candidates=2, below=0.95) == [3, 4]
    assert lists(candidates=9, below=0.5) == [4, *[-1] * 8]
    scores = -scores[:, ::-1].copy()  # 0, -.5, -1.8, -1.95, -2, -9: the known one is best but one
    assert lists(candidates=2, positive=False, below=0.5) == [2, 3]
    scores = np.array([[0.0, 0.0, 3.0]], dtype=np.float32)  # what is known scores nothing: no guard is possible
    assert lists(candidates=1, below=0.9) == [-1]


def sorted_lists(
    scores: np.ndarray, known: Pairs, own: np.ndarray | None, config: MinedTextConfig, positive: bool
) -> list[list[int]]:
    """By a loop over rows, from all scores at once."""
    lists = []
    for row, of_row in enumerate(scores.tolist()):
        true = known.targets[known.rows == row].tolist()
        left_out = {*true, *([] if own is None else [own[row]])}
        best = max((np.float32(of_row[t]) for t in true), default=np.float32(-np.inf))
        limit = np.float32(np.inf)
        if config.below is not None:
            limit = best if best == -np.inf else best - np.float32(1 - config.below) * abs(best)
        good = [
            t for t, score in enumerate(of_row) if t not in left_out and score < limit and (score > 0 or not positive)
        ]
        chosen = sorted(good, key=lambda t: (-of_row[t], t))[config.skip : config.skip + config.candidates]
        lists.append(chosen + [-1] * (config.candidates - len(chosen)))
    return lists


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("settings", [{}, {"skip": 3}, {"below": 0.9}, {"below": 1.0, "skip": 1}])
def test_blocks_are_as_the_whole(seed: int, settings: dict[str, Any]) -> None:
    """Many equal scores, any cut into pieces, dense and sparse: what sorting all scores gives."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-4, 9, size=(7, 40)).astype(np.float32)
    known = Pairs(rng.integers(7, size=20), rng.integers(40, size=20))
    own = rng.integers(40, size=7) if seed % 2 else None
    config = config_of(candidates=8, **settings)
    for positive in (True, False):
        want = sorted_lists(scores, known, own, config, positive)
        for width in (1, 5, 39, 100):

            def pieces(width: int = width) -> Iterator[Dense]:
                for first in rng.permutation(np.arange(0, 40, width)).tolist():
                    yield Dense(scores[:, first : first + width].copy(), first)

            assert best_wrong(pieces, known, own, 7, config, positive).tolist() == want
    zeros = np.maximum(scores, 0.0)
    want = sorted_lists(zeros, known, own, config, True)
    keys = np.flatnonzero(zeros)
    sparse = Sparse(keys, zeros.reshape(-1)[keys], 40)
    assert best_wrong(lambda: iter([sparse]), known, own, 7, config, True).tolist() == want


@pytest.mark.parametrize("kind", ["mined_text", "mined_resource_allocation", "mined_page_rank"])
def test_blocks_of_sources_change_nothing(graph: LocalGraph, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(graph, {"type": kind, "candidates": 20, "below": 0.95})
    monkeypatch.setattr(two_steps, "PATHS", 300)
    monkeypatch.setattr("graphstorm_like.sampling.negatives.mined_page_rank.BLOCK", 3000)
    again = made(LocalGraph(graph.folder, {SIMILAR: None}), {"type": kind, "candidates": 20, "below": 0.95})
    assert isinstance(whole, MinedNegatives)
    assert isinstance(again, MinedNegatives)
    assert again.lists[SIMILAR].tolist() == whole.lists[SIMILAR].tolist()
    assert (whole.lists[SIMILAR] >= 0).any()


@pytest.mark.parametrize("kind", ["mined_text", "mined_resource_allocation", "mined_page_rank"])
def test_no_training_target_is_drawn_and_held_out_ones_are_not_known(graph: LocalGraph, kind: str) -> None:
    negatives = made(graph, {"type": kind, "candidates": 20, "per_edge": 3})
    assert isinstance(negatives, MinedNegatives)
    lists, sources = negatives.lists[SIMILAR], negatives.sources[SIMILAR]
    train = set(zip(*(end.tolist() for end in graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train"))), strict=True))
    listed = [(s, t) for s, row in zip(sources.tolist(), lists.tolist(), strict=True) for t in row if t >= 0]
    assert len(listed) > 100
    assert not set(listed) & train
    assert all(s != t for s, t in listed)
    source = sources[:5].repeat(2)
    drawn = negatives.draw("item", {SIMILAR: (source, source)}, np.random.default_rng(0)).reshape(10, 3)
    for row, of_edge in enumerate(drawn.tolist()):
        of_source = [t for t in lists[row // 2].tolist() if t >= 0]
        assert len(of_source) < 3 or set(of_edge) <= set(of_source)
    # Another graph of the held-out edges would give the same lists: they are neither used nor avoided.
    again = made(graph, {"type": kind, "candidates": 20, "per_edge": 3})
    assert again.lists[SIMILAR].tolist() == lists.tolist()  # type: ignore[attr-defined]


def test_without_text_nothing_is_mined_by_it(graph: LocalGraph) -> None:
    train = {BUYS: TrueTargets.of_edges(graph, BUYS)}
    config = config_of()
    with pytest.raises(DataError, match=r"nodes of type user must have a text to mine negatives of user:buys:item by"):
        NEGATIVES.of(config)(config, graph, train)


MIX: dict[str, Any] = {
    "type": "mix",
    "count": 10,
    "parts": [
        {"share": 0.5, "negatives": {"type": "uniform"}},
        {"share": 0.5, "from_epoch": 2, "full_epoch": 3, "negatives": {"type": "mined_resource_allocation"}},
        {"share": 0.1, "from_epoch": 4, "negatives": {"type": "popularity"}},
    ],
}


@pytest.mark.known_answer("negatives/mix")
def test_a_mix_follows_its_schedule(graph: LocalGraph) -> None:
    negatives = made(graph, MIX)
    by_epoch = [negatives.counts(epoch).tolist() for epoch in range(4)]  # type: ignore[attr-defined]
    assert by_epoch == [[10, 0, 0], [7, 3, 0], [5, 5, 0], [5, 4, 1]]
    sources = graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train"))[0][:8]
    mined = next(kind for kind in negatives.kinds() if isinstance(kind, MinedNegatives))
    of_sources = mined.lists[SIMILAR][np.searchsorted(mined.sources[SIMILAR], sources)]
    for epoch in (0, 2):
        negatives.at(StreamPosition(epoch, 0))
        drawn = negatives.draw("item", {SIMILAR: (sources, sources)}, np.random.default_rng(0))
        assert len(drawn) == 10
        if epoch == 2:
            assert np.isin(drawn[5:], of_sources).all()


def test_chances_of_a_mix(graph: LocalGraph) -> None:
    parts = [{"share": 1, "negatives": {"type": "uniform"}}, {"share": 3, "negatives": {"type": "popularity"}}]
    negatives = made(graph, {"type": "mix", "count": 8, "parts": parts, "popularity_correction": True})
    ids = np.arange(graph.manifest.node("item").count)
    chances = negatives.chances("item", ids, 8)
    assert chances is not None
    assert chances.sum() == pytest.approx(1.0)
    alone = made(graph, {"type": "popularity"}).chances("item", ids, 6)
    np.testing.assert_allclose(chances, 0.25 / len(ids) + 0.75 * alone)


def test_a_step_is_a_function_of_its_position(graph: LocalGraph) -> None:
    """With the epoch's mix, also when epochs are drawn in another order, as after a resume."""
    config = MixNegativesConfig.family.validate(MIX)  # type: ignore[union-attr]
    train = {SIMILAR: graph.edge_rows(SIMILAR, "train")}
    pools = []
    for epochs in ((0, 3), (3,)):
        seeder = LinkSeeder(graph, train, config, 1)
        for epoch in epochs:
            batch = seeder(train[SIMILAR][:6], StreamPosition(epoch, 2))
        pools.append(batch.seeds["item"].tolist())
    assert pools[0] == pools[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "mined_text", "popularity_correction": True}, r"popularity_correction: must be false: nobody knows"),
        ({"type": "uniform", "queue": 8, "popularity_correction": True}, r"must be false with queue or self_negative"),
        ({**MIX, "popularity_correction": True}, r"nobody knows how often some of the parts' negatives are drawn"),
        ({**MIX, "parts": MIX["parts"][1:]}, r"parts: must have one with from_epoch: 1"),
        (
            {"type": "mix", "parts": [{"share": 1, "negatives": {"type": "uniform", "queue": 4}}]},
            r"parts\[0\]\.negatives: must leave queue to the mix \(got 4\)",
        ),
        ({"type": "mix", "parts": [{"share": 1, "negatives": MIX}]}, r"must be a kind of its own \(got 'mix'\)"),
        (
            {"type": "mix", "parts": [{**MIX["parts"][0], "from_epoch": 3, "full_epoch": 2}]},
            r"full_epoch: must be at least from_epoch: 3 \(got 2\)",
        ),
    ],
)
def test_what_is_refused(shop_config: Callable[..., Pipeline], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop_config("link_prediction", task={"negatives": settings})


def test_lists_of_resource_allocation_skip_common_nodes() -> None:
    assert MinedResourceAllocationConfig(type="mined_resource_allocation").most_neighbors == 1000


def test_the_order_of_edges_changes_no_draw_of_a_mix(graph: LocalGraph) -> None:
    """A single process has the edges of a step in another order than several ranks."""
    negatives = made(graph, {"type": "mined_resource_allocation", "candidates": 20, "per_edge": 2})
    source, target = graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train")[:30])
    order = np.random.default_rng(5).permutation(30)
    drawn = []
    for edges in ((source, target), (source[order], target[order])):
        drawn.append(negatives.draw_some(16, "item", {SIMILAR: edges}, np.random.default_rng(0)).tolist())
    assert drawn[0] == drawn[1]
