from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphstorm_like.errors import ConfigError
from graphstorm_like.text.batching import collate, collate_rows, token_budget_batches
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore, build_token_store


@given(
    lengths=st.lists(st.integers(1, 60), max_size=300),
    budget=st.integers(60, 700),
    max_texts=st.none() | st.integers(1, 20),
    min_fill=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_every_text_once_within_the_budget(
    lengths: list[int], budget: int, max_texts: int | None, min_fill: float
) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    batches = token_budget_batches(sizes, budget, max_texts, min_fill)
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) * sizes[batch].max() <= budget
        assert max_texts is None or len(batch) <= max_texts
    longest = [int(sizes[batch].max()) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    again = token_budget_batches(sizes, budget, max_texts, min_fill)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    if min_fill == 0.0:
        assert all(len(set(sizes[batch].tolist())) == 1 for batch in batches)


def test_common_lengths_get_batches_without_padding() -> None:
    lengths = np.random.default_rng(0).integers(20, 60, 20_000)
    batches = token_budget_batches(lengths, 4096)
    padded = sum(len(b) * lengths[b].max() for b in batches)
    assert padded / lengths.sum() < 1.001
    assert lengths.sum() / len(batches) > 0.5 * 4096


def test_bad_limits_are_named() -> None:
    with pytest.raises(ConfigError, match=r"max_tokens_per_batch must be at least 9, the longest text \(got 8\)"):
        token_budget_batches([3, 9], 8)
    with pytest.raises(ConfigError, match="max_texts must be at least 1"):
        token_budget_batches([3, 9], 9, 0)


@pytest.fixture
def store(bert: TextEncoder, tmp_path: Path) -> TokenStore:
    return build_token_store(["graph", "graph node a", "a", None, "graph"], bert.tokenizer, tmp_path, 8)


def test_collate_pads_right_to_the_longest(store: TokenStore) -> None:
    batch = collate(store, [1, 0])
    assert batch.input_ids.shape == (2, 5)
    assert batch.lengths.tolist() == [5, 3]
    assert batch.attention_mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    assert batch.input_ids[1, 3:].tolist() == [store.pad_id] * 2
    assert batch.input_ids[0].tolist() == store.tokens([1])[0].tolist()
    assert batch.input_ids.dtype == batch.row_of_node.dtype == torch.int64
    assert batch.has_padding
    assert not collate(store, [0, 2]).has_padding
    assert collate(store, [1, 0], pad_to_multiple_of=8).input_ids.shape == (2, 8)
    assert collate(store, []).input_ids.shape == (0, 0)


def test_collate_rows_reads_each_text_once(store: TokenStore) -> None:
    batch = collate_rows(store, [4, 1, 0, 3, 4])
    assert len(batch.input_ids) == 3
    for node, row in enumerate([4, 1, 0, 3, 4]):
        expected = store.tokens([store.row_of_text[row]])[0]
        text = batch.input_ids[batch.row_of_node[node]]
        assert text[: len(expected)].tolist() == expected.tolist()
    assert batch.to("cpu").row_of_node.tolist() == batch.row_of_node.tolist()
