"""Texts of a batch: each once, seeds first, and gradients that do not depend on how memory was saved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphstorm_like.config.lm import LmConfig
from graphstorm_like.graph.store import Block, Relation
from graphstorm_like.inputs.trained_texts import (
    FetchTexts,
    SeedsAndNeighbors,
    SeedsOnly,
    TextPass,
    all_inputs,
    replace_rows,
)
from graphstorm_like.sampling.batch import (
    CandidatePool,
    LinkTargets,
    Messages,
    MiniBatch,
    StreamPosition,
    TextPlace,
    TypeLinks,
)
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.lm.language_models import LanguageModels

AT = StreamPosition(0, 0)


def fetched(store: TokenStore, ids: np.ndarray, budget: int = 24) -> MiniBatch:
    batch = SeedsOnly()(MiniBatch(seeds={"item": torch.from_numpy(ids)}, position=AT))
    return FetchTexts({"item": {"text:title": store}}, all_inputs, budget)(batch)


def test_each_text_once_and_every_node_served(encoder: TextEncoder, store: TokenStore, ids: np.ndarray) -> None:
    texts = fetched(store, ids).texts["item"]["text:title"]
    assert len(texts.unique) == len(set(store.row_of_text)) == 6  # two nodes share 'x'
    assert sum(len(b.input_ids) for b in texts.batches) == 6
    assert all(b.input_ids.numel() <= 24 for b in texts.batches)
    assert sorted(texts.at.tolist()) == list(range(7))
    with torch.no_grad():
        distinct, nodes = TextPass(lambda t, b: encoder(b), 10**6, lambda i: i, lambda t: False).vectors("item", texts)
        rows = replace_rows(torch.zeros(7, encoder.dim), texts.at, nodes)
        alone = torch.cat([encoder(fetched(store, np.array([i])).texts["item"]["text:title"].batches[0]) for i in ids])
    torch.testing.assert_close(rows, alone, atol=1e-5, rtol=1e-4)
    whole = torch.zeros(6, encoder.dim)
    whole[texts.unique] = distinct
    torch.testing.assert_close(whole[store.row_of_text.astype(np.int64)], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("kept", [0, 30])
def test_gradients_are_those_of_one_pass(
    encoder: TextEncoder, store: TokenStore, ids: np.ndarray, kept: int, dropout: float
) -> None:
    """A contrastive loss over all texts, whose activations fit, fit in part, or not at all."""
    LanguageModels({"*": encoder}, LmConfig(dropout=dropout)).train()
    texts = fetched(store, ids).texts["item"]["text:title"]
    found = []
    for budget in (10**6, kept):
        calls = []

        def encode(place: TextPlace, batch: TextBatch, calls: list[int] = calls) -> torch.Tensor:
            calls.append(1)
            vectors: torch.Tensor = encoder(batch)
            return vectors

        encoder.zero_grad()
        one = TextPass(encode, budget, lambda i: 100 + i, lambda t: False)
        _, vectors = one.vectors("item", texts)
        loss = torch.nn.functional.cross_entropy(vectors @ vectors.T, torch.arange(7).roll(1))
        loss.backward()
        one.backward()
        found.append(({n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}, len(calls)))
    (plain, once), (cached, twice) = found
    assert once == len(texts.batches) < twice
    assert plain.keys() == cached.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(cached[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_replaced_rows_have_gradients_and_others_stay() -> None:
    rows, vectors = torch.arange(12.0).reshape(4, 3).half(), torch.full((2, 3), 7.0, requires_grad=True)
    out = replace_rows(rows, torch.tensor([3, 1]), vectors)
    assert out[[0, 2]].tolist() == rows[[0, 2]].float().tolist()
    assert (out[[1, 3]] == 7).all()
    out.sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad == 1).all()


def graph_batch(seeds: int = 3, inputs: int = 7, targets: LinkTargets | None = None) -> MiniBatch:
    """Seeds are the first input nodes; node 6 has three edges into them, 5 two, 4 one, 3 none."""
    sources = torch.tensor([6, 6, 6, 5, 5, 4])
    relation = Relation(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 4, 6]), sources, torch.arange(6))
    block = Block({"item": inputs}, {"item": seeds}, {("item", "r", "item"): relation})
    return MiniBatch(
        seeds={"item": torch.arange(seeds)},
        position=AT,
        blocks=(block,),
        input_ids={"item": torch.arange(inputs)},
        targets=targets,
    )


def test_seeds_come_first_without_repetition_within_the_budget(store: TokenStore) -> None:
    stores = {"item": {"text:title": store}}
    lengths = store.lengths_of(np.arange(7))
    for seed in range(20):
        every = SeedsAndNeighbors(stores, 9, "random", 10**6, seed)(graph_batch())["item"]
        assert sorted(every) == list(range(7))  # none twice
        assert sorted(every[:3]) == [0, 1, 2]
        budget = int(lengths[:3].sum()) + 2
        some = SeedsAndNeighbors(stores, 9, "random", budget, seed)(graph_batch())["item"]
        assert sorted(some[:3]) == [0, 1, 2]
        assert lengths[some].sum() <= budget
        few = SeedsAndNeighbors(stores, 9, "random", 6, seed)(graph_batch())["item"]
        assert set(few) <= {0, 1, 2}
    assert len({tuple(SeedsAndNeighbors(stores, 9, "random", 10**6, s)(graph_batch())["item"]) for s in range(9)}) > 1


def test_neighbours_by_weight(store: TokenStore) -> None:
    choose = SeedsAndNeighbors({"item": {"text:title": store}}, 1, "weight", 10**6, 0)
    assert choose(graph_batch())["item"][3:].tolist() == [6, 5, 4]
    assert SeedsAndNeighbors({"item": {"text:title": store}}, 0, "weight", 10**6, 0)(graph_batch())["item"].size == 3


def test_texts_of_edges_next_to_the_seeds_come_between_seeds_and_neighbours(store: TokenStore) -> None:
    edges = Messages(("item", "r", "item"))
    stores: dict[TextPlace, dict[str, TokenStore]] = {"item": {"text:title": store}, edges: {"text:note": store}}
    lengths = store.lengths_of(np.arange(7))
    for seed in range(10):
        chosen = SeedsAndNeighbors(stores, 1, "random", 10**6, seed)(graph_batch())
        assert len(set(chosen[edges])) == 3  # one a seed, of six
        assert len(chosen["item"]) == 6
        budget = int(lengths[:3].sum() + lengths[chosen[edges]].sum())
        some = SeedsAndNeighbors(stores, 1, "random", budget, seed)(graph_batch())
        assert some[edges].tolist() == chosen[edges].tolist()
        assert sorted(some["item"]) == [0, 1, 2]
    assert edges not in SeedsAndNeighbors(stores, 0, "random", 10**6, 0)(graph_batch())


def test_ends_of_links_come_before_negatives(store: TokenStore) -> None:
    mask, relations = torch.zeros(1, 4).bool(), (("item", "r", "item"),)
    links = TypeLinks(relations, (1,), torch.tensor([4]), slice(0, 1), (slice(1, 4),), True, mask)
    targets = LinkTargets((links,), {"item": CandidatePool(torch.tensor([2, 0, 1, 3]), (4,))})
    asked = {("item", "r", "item"): (torch.tensor([4]), torch.tensor([2]))}
    batch = graph_batch(seeds=5, targets=targets).replace(asked=asked)
    for seed in range(10):
        chosen = SeedsAndNeighbors({"item": {"text:title": store}}, 0, "random", 10**6, seed)(batch)["item"]
        assert set(chosen[:2]) == {2, 4}
