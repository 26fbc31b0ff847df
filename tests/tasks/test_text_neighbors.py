"""Votes of the sources with the most similar texts: known answers, loops by hand, no row tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.pair_terms import TextNeighborsConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.sampling.negatives.mined_text import node_texts, word_table
from graphstorm_like.sampling.negatives.paths import Table
from graphstorm_like.tasks.pair_terms.columns import Columns
from graphstorm_like.tasks.pair_terms.text_neighbors import TextNeighbors

SIMILAR = ("item", "similar", "item")
ASKS = ("user", "asks", "item")
TEXTS = ["red boat", "red boat sail", "sail", "blue wheel", "wheel", "red sail"]
EDGES = [(1, 0), (1, 1), (2, 1), (3, 2), (0, 0), (5, 2), (4, 0)]
SPLITS = ["train", "train", "train", "train", "train", "test", "valid"]


def small_graph(folder: Path, partitions: int) -> LocalGraph:
    """Users 0..5 with TEXTS, items 0..2, EDGES: those of users 4 and 5 are held out."""
    pq.write_table(pa.table({"id": list(range(6)), "words": TEXTS}), folder / "user.parquet")
    pq.write_table(pa.table({"id": [0, 1, 2]}), folder / "item.parquet")
    table = pa.table({"source": [s for s, _ in EDGES], "target": [t for _, t in EDGES], "split": SPLITS})
    pq.write_table(table, folder / "asks.parquet")
    user = {"files": "user.parquet", "id": "id", "text": {"words": {"columns": "words"}}}
    edge = {"source": "user", "relation": "asks", "target": "item", "files": "asks.parquet"}
    data = {
        "graph": {
            "path": str(folder / f"g{partitions}"),
            "base": str(folder),
            "nodes": {"user": user, "item": {"files": "item.parquet", "id": "id"}},
            "edges": [{**edge, "split": {"column": "split"}}],
            "partitions": {"method": "random", "count": partitions},
        },
        "model": {"inputs": {"user": {"text": [], "embedding": True}}},
        "task": {"type": "link_prediction", "edge_type": "user:asks:item"},
    }
    build_graph(build_pipeline(data).graph)
    return LocalGraph(folder / f"g{partitions}", {ASKS: None})


def numbers(graph: LocalGraph, node_type: str) -> list[int]:
    """Our number of each id."""
    return np.argsort([int(name) for name in graph.ids(node_type).to_pylist()]).tolist()


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.known_answer("pair_terms/text_neighbors")
def test_known_answer(tmp_path: Path, partitions: int) -> None:
    """Words' weights: red, sail 3 of 6 texts; boat, wheel 2; blue 1. User 5, `red sail`, is like users 0 and 1 by red,
    and like users 1 and 2 by sail; users 4 and 5 have no training edge and do not vote."""
    graph = small_graph(tmp_path, partitions)
    user, item = numbers(graph, "user"), numbers(graph, "item")
    term = TextNeighbors(TextNeighborsConfig(type="text_neighbors", k=2), graph, ASKS).double()
    with torch.no_grad():
        term.weights.copy_(torch.tensor([1.0, 10.0]))
    weight = {"red": np.log(7 / 4) + 1, "sail": np.log(7 / 4) + 1, "boat": np.log(7 / 3) + 1}
    weight |= {"wheel": np.log(7 / 3) + 1, "blue": np.log(7 / 2) + 1}
    rows = []
    for text in TEXTS:
        row = np.array([weight[word] * (word in text.split()) for word in weight])
        rows.append(row / np.linalg.norm(row))
    cosine = np.array(rows) @ np.array(rows).T
    # The best two voters of 5 are 1 (both words) and 2 (`sail` alone); of 4 only 3 has a word in common.
    assert sorted([0, 1, 2, 3], key=lambda other: -cosine[5, other])[:2] == [1, 2]
    of_5 = np.array([cosine[5, 1] ** 2, cosine[5, 1] ** 2 + cosine[5, 2] ** 2, 0.0])
    of_4 = np.array([0.0, 0.0, cosine[4, 3] ** 2])
    # 1 has both words of 0 and one of 2, and is not asked itself: its own edges do not count.
    of_1 = np.array([cosine[1, 0] ** 2, cosine[1, 2] ** 2, 0.0])
    votes = np.stack([of_5, of_4, of_1])
    all_votes = np.array([cosine[5, 1] ** 2 + cosine[5, 2] ** 2, cosine[4, 3] ** 2, of_1.sum()])
    want = np.log1p(votes) + 10.0 * np.log1p(2 * votes / all_votes[:, None])
    got = term(np.array([user[5], user[4], user[1]]), None).detach().numpy()
    np.testing.assert_allclose(got[:, item], want, rtol=1e-5)
    assert got.sum() > 20


def by_hand(term: TextNeighbors, sources: np.ndarray) -> np.ndarray:
    """[n, all targets]: by loops."""
    graph, k = term.graph, term.config.k
    words = word_table(node_texts(graph, term.edge_type[0]), term.config.most_texts)
    texts = []
    for row in range(len(words.starts) - 1):
        mine = slice(words.starts[row], words.starts[row + 1])
        texts.append(dict(zip(words.columns[mine].tolist(), words.weights[mine].tolist(), strict=True)))
    shown = np.setdiff1d(np.arange(len(graph.edges(SIMILAR)[0])), graph.hidden_rows(SIMILAR))
    links: dict[int, set[int]] = {}
    for s, t in zip(*(end.tolist() for end in graph.edges(SIMILAR, shown)), strict=True):
        links.setdefault(s, set()).add(t)
    found = np.zeros((len(sources), graph.manifest.node("item").count))
    first, second = term.weights.tolist()
    for row, source in enumerate(sources.tolist()):
        alike = []
        for other in sorted(links):
            cosine = sum(weight * texts[other].get(word, 0.0) for word, weight in texts[source].items())
            if other != source and cosine > 0:
                alike.append((-np.float32(cosine), other))
        best = [(float(cosine) ** 2, other) for cosine, other in sorted(alike)[:k]]
        for target in set().union(*(links[other] for _, other in best)):
            votes = sum(mass for mass, other in best if target in links[other])
            share = votes / sum(mass for mass, _ in best)
            found[row, target] = first * np.log1p(votes) + second * np.log1p(k * share)
    return found


@pytest.mark.parametrize("block", [16_000_000, 50])
def test_all_ways_of_asking_agree(shop: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """With loops: all targets, some that repeat, of each source its own, the true ones and drawn ones."""
    monkeypatch.setattr("graphstorm_like.tasks.pair_terms.nearest_texts.BLOCK", block)
    monkeypatch.setattr("graphstorm_like.sampling.negatives.two_steps.PATHS", block)
    monkeypatch.setattr("graphstorm_like.tasks.pair_terms.text_neighbors.PATHS", block // 5)
    graph = LocalGraph(shop[1], {SIMILAR: None})
    term = TextNeighbors(TextNeighborsConfig(type="text_neighbors", k=3), graph, SIMILAR).double()
    with torch.no_grad():
        term.weights.copy_(torch.tensor([1.0, 2.0]))
    sources, targets = graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train")[:8])
    sources[7] = sources[0]
    want = by_hand(term, sources)
    assert (want > 0).sum() > 20
    np.testing.assert_allclose(term(sources, None, targets).detach(), want, rtol=1e-5)
    popular = int(want.sum(axis=0).argmax())
    drawn = np.array([popular, 3, popular, int(targets[0]), 200])
    np.testing.assert_allclose(term(sources, drawn).detach(), want[:, drawn], rtol=1e-5)
    pairs = np.stack([targets, np.full(8, popular), targets], axis=1)
    np.testing.assert_allclose(term.of_pairs(sources, pairs).detach(), np.take_along_axis(want, pairs, 1), rtol=1e-5)
    of_batch = term.of_true_and_drawn(sources, targets, drawn).detach()
    both = np.concatenate([want[np.arange(8), targets][:, None], want[:, drawn]], axis=1)
    np.testing.assert_allclose(of_batch, both, rtol=1e-5)
    nothing = np.empty(0, dtype=np.int64)  # a rank without edges in a step
    assert term(nothing, drawn, nothing).shape == (0, 5)
    assert term.of_true_and_drawn(nothing, nothing, drawn).shape == (0, 6)
    assert torch.equal(TextNeighbors(term.config, graph, SIMILAR)(sources, drawn), torch.zeros(8, 5))  # at first


def test_votes_are_counted_in_blocks_of_few_paths(shop: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sources are asked about at once: popular targets have votes of nearly all of them."""
    graph = LocalGraph(shop[1], {SIMILAR: None})
    term = TextNeighbors(TextNeighborsConfig(type="text_neighbors", k=20), graph, SIMILAR)
    columns = Columns(np.array([3, 9]), 240)
    whole = term.votes(np.arange(240), columns)
    followed = []
    steps = Table.steps

    def counted(table: Table, *arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = steps(table, *arguments)
        followed.append(len(found[0]))
        return found

    monkeypatch.setattr(Table, "steps", counted)
    monkeypatch.setattr("graphstorm_like.tasks.pair_terms.text_neighbors.PATHS", 200)
    again = term.votes(np.arange(240), columns)
    assert sum(followed) > 2_000
    assert max(followed) < 2 * 200
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_does_not_round_terms(shop: tuple[Path, Path]) -> None:
    """Training may compute in bfloat16, ranking does not: both must add the same."""
    graph = LocalGraph(shop[1], {SIMILAR: None})
    term = TextNeighbors(TextNeighborsConfig(type="text_neighbors", k=5), graph, SIMILAR)
    with torch.no_grad():
        term.weights.copy_(torch.tensor([1.1, 0.3]))
    want = term(np.arange(9), None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = term(np.arange(9), None)
    assert want.dtype == got.dtype == torch.float32
    assert want.sum() > 1
    assert torch.equal(got, want)


def test_an_edge_does_not_tell_of_itself(shop: tuple[Path, Path]) -> None:
    """Each row of a training edge is that of a graph without all training edges of its source, of which this is one."""
    graph = LocalGraph(shop[1], {SIMILAR: None})
    rows = graph.edge_rows(SIMILAR, "train")
    sources, targets = graph.edges(SIMILAR, rows[:4])
    term = TextNeighbors(TextNeighborsConfig(type="text_neighbors", k=5), graph, SIMILAR)
    with torch.no_grad():
        term.weights.fill_(1.0)
    with_them = term(sources, None, targets).detach()
    for i, source in enumerate(sources.tolist()):
        hidden = LocalGraph(shop[1], {SIMILAR: None})
        before = hidden.hidden_rows
        own = rows[graph.edges(SIMILAR, rows)[0] == source]

        def without(
            e: tuple[str, str, str], own: np.ndarray = own, before: Callable[..., np.ndarray] = before
        ) -> np.ndarray:
            return np.concatenate([before(e), own]) if e == SIMILAR else before(e)

        hidden.hidden_rows = without  # type: ignore[method-assign]
        other = TextNeighbors(term.config, hidden, SIMILAR)
        other.load_state_dict(term.state_dict())
        torch.testing.assert_close(with_them[i], other(sources[[i]], None).detach()[0])


def test_without_any_link_there_are_no_votes(shop: tuple[Path, Path]) -> None:
    graph = LocalGraph(shop[1], {SIMILAR: None})
    graph.hidden_rows = lambda e: np.arange(len(graph.edges(e)[0]))  # type: ignore[method-assign]
    term = TextNeighbors(TextNeighborsConfig(type="text_neighbors"), graph, SIMILAR)
    with torch.no_grad():
        term.weights.fill_(1.0)
    assert torch.equal(term(np.arange(3), None), torch.zeros(3, 240))


def test_sources_need_texts(tmp_path: Path) -> None:
    graph = small_graph(tmp_path, 1)
    back = ("item", "asks-rev", "user")
    with pytest.raises(DataError, match=r"type item must have a text for task\.pairs of type text_neighbors"):
        TextNeighbors(TextNeighborsConfig(type="text_neighbors"), graph, back)
