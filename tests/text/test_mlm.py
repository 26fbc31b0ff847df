"""Masking follows the 80/10/10 rule and nothing else; the head's loss is that of a softmax over the vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from graphstorm_like.errors import ConfigError
from graphstorm_like.testing.text import FAMILIES, tiny_text_model
from graphstorm_like.text.batching import TextBatch, collate
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.mlm import MaskedLmHead, Vocabulary, input_embeddings, mask_tokens
from graphstorm_like.text.tokens import build_token_store

TEXTS = ["the graph library", "x", None, "a longer text of the data files for packages " * 3, "node edge", "tool files"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def batch_of(ids: list[list[int]], pad: int = 0) -> TextBatch:
    width = max(map(len, ids))
    lengths = torch.tensor([len(row) for row in ids])
    padded = torch.tensor([row + [pad] * (width - len(row)) for row in ids])
    return TextBatch(padded, lengths, torch.arange(len(ids)), True)


# Ids 0..3 are special (0 pads, 3 masks), 4..103 are ordinary.
VOCABULARY = Vocabulary(3, np.arange(4, 104))


def test_all_ordinary_tokens_and_no_others() -> None:
    batch = batch_of([[1, 10, 11, 2], [1, 3, 12, 13, 14, 2], [1, 2]])
    before = batch.input_ids.clone()
    masked, positions, labels = mask_tokens(batch, VOCABULARY, 1.0, rng())
    assert positions.tolist() == [1, 2, 8, 9, 10]  # of rows of 6; neither special tokens, nor padding
    assert labels.tolist() == [10, 11, 12, 13, 14]
    assert torch.equal(batch.input_ids, before)
    others = np.setdiff1d(np.arange(18), positions.numpy())
    assert torch.equal(masked.input_ids.view(-1)[others], before.view(-1)[others])
    assert (masked.lengths is batch.lengths, masked.row_of_node is batch.row_of_node) == (True, True)


def test_rates() -> None:
    ids = rng(5).integers(4, 104, size=(200, 100))
    batch = TextBatch(torch.from_numpy(ids), torch.full((200,), 100), torch.arange(200), False)
    masked, positions, labels = mask_tokens(batch, VOCABULARY, 0.15, rng())
    assert len(positions) / 20_000 == pytest.approx(0.15, abs=0.01)
    assert (labels.numpy() == ids.reshape(-1)[positions]).all()
    now = masked.input_ids.view(-1)[positions]
    kept, hidden = (now == labels).float().mean().item(), (now == 3).float().mean().item()
    assert hidden == pytest.approx(0.8, abs=0.03)
    assert kept == pytest.approx(0.1 + 0.1 / 100, abs=0.02)
    random = now[(now != labels) & (now != 3)]
    assert random.min() >= 4
    assert len(random.unique()) > 60


def test_deterministic_and_blind_to_padding() -> None:
    rows = [list(rng(i).integers(4, 104, size=5 + i)) for i in range(20)]
    batch = batch_of(rows)
    wide = TextBatch(F.pad(batch.input_ids, (0, 7)), batch.lengths, batch.row_of_node, True)
    one, two, other = (mask_tokens(b, VOCABULARY, 0.3, rng(s)) for b, s in ((batch, 1), (wide, 1), (batch, 2)))
    assert torch.equal(one[2], two[2])
    assert torch.equal(one[0].input_ids, two[0].input_ids[:, :-7])
    assert not torch.equal(one[0].input_ids, other[0].input_ids)
    _, positions, labels = mask_tokens(batch, VOCABULARY, 0.0, rng())
    assert (len(positions), len(labels)) == (0, 0)


@pytest.fixture(scope="module", params=FAMILIES)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp(request.param)
    try:
        tiny_text_model(folder, request.param)
    except AttributeError:
        pytest.skip(f"this transformers has no {request.param}")
    return TextEncoder.load(folder, dtype="float32")


def texts_of(encoder: TextEncoder, folder: Path) -> TextBatch:
    return collate(build_token_store(TEXTS, encoder.tokenizer, folder, encoder.max_tokens), np.arange(6))


@torch.no_grad()
def test_tokens_and_texts_from_one_pass(encoder: TextEncoder, tmp_path: Path) -> None:
    batch = texts_of(encoder, tmp_path)
    vectors, tokens = encoder.with_tokens(batch)
    assert torch.equal(vectors, encoder(batch))
    assert tokens.shape == (*batch.input_ids.shape, encoder.dim)
    if not encoder.is_causal:  # pooled by the mean
        want = torch.stack([row[:n].mean(0) for row, n in zip(tokens, batch.lengths.tolist())])
        torch.testing.assert_close(vectors, want, atol=1e-5, rtol=1e-5)


def test_head_of_every_family(encoder: TextEncoder, tmp_path: Path) -> None:
    if encoder.is_causal:
        with pytest.raises(ConfigError, match=r"must be an encoder for masked language modelling \(got a causal model"):
            MaskedLmHead(encoder)
        with pytest.raises(ConfigError, match="must have a mask token"):
            Vocabulary.of(encoder.tokenizer)
        return
    vocabulary = Vocabulary.of(encoder.tokenizer)
    assert not set(vocabulary.ordinary.tolist()) & set(encoder.tokenizer.all_special_ids)
    assert len(vocabulary.ordinary) + len(set(encoder.tokenizer.all_special_ids)) == len(encoder.tokenizer)
    masked, positions, labels = mask_tokens(texts_of(encoder, tmp_path), vocabulary, 0.5, rng())
    head, embeddings = MaskedLmHead(encoder), input_embeddings(encoder)
    with torch.no_grad():
        head.bias.normal_()
    hidden = encoder.with_tokens(masked)[1]
    total, count = head(hidden, positions, labels, embeddings)
    # Against the plain way: logits of every token of every text, the loss of the hidden ones.
    logits = head.norm(F.gelu(head.dense(hidden))) @ embeddings.T + head.bias
    wanted = torch.full(masked.input_ids.shape, -100)
    wanted.view(-1)[positions] = labels
    want = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum", ignore_index=-100)
    torch.testing.assert_close(total, want)
    assert count == len(labels) > 5
    encoder.zero_grad()
    total.backward()
    assert embeddings.grad is not None  # tied: read by as well as guessed with
    assert embeddings.grad[encoder.tokenizer.mask_token_id].abs().sum() > 0
    assert all(p.grad is not None for p in head.parameters())
    assert {name for name, _ in head.named_parameters()} == {
        "dense.weight", "dense.bias", "norm.weight", "norm.bias", "bias"
    }  # fmt: skip


def test_nothing_hidden_costs_nothing(bert: TextEncoder, tmp_path: Path) -> None:
    head, none = MaskedLmHead(bert), torch.empty(0, dtype=torch.int64)
    total, count = head(bert.with_tokens(texts_of(bert, tmp_path))[1], none, none, input_embeddings(bert))
    total.backward()
    assert (total.item(), count) == (0.0, 0)


def test_it_can_be_learnt(bert: TextEncoder, tmp_path: Path) -> None:
    torch.manual_seed(0)
    batch, vocabulary, head = texts_of(bert, tmp_path), Vocabulary.of(bert.tokenizer), MaskedLmHead(bert)
    optimizer = torch.optim.AdamW([*bert.parameters(), *head.parameters()], lr=3e-3)
    means = []
    for step in range(60):
        masked, positions, labels = mask_tokens(batch, vocabulary, 0.15, rng(step))
        total, count = head(bert.with_tokens(masked)[1], positions, labels, input_embeddings(bert))
        optimizer.zero_grad()
        (total / max(count, 1)).backward()
        optimizer.step()
        means.append(total.item() / max(count, 1))
    assert np.mean(means[-10:]) < 0.6 * np.mean(means[:10])
