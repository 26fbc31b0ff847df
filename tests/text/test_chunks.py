"""Long texts in pieces: nothing is lost, short texts stay as they are, and the vector of a text is a weighted mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphstorm_like.errors import DataError
from graphstorm_like.testing.text import FAMILIES, tiny_text_model, tiny_tokenizer
from graphstorm_like.text import cache as cache_module
from graphstorm_like.text.batching import collate, collate_rows, text_vectors
from graphstorm_like.text.embed import embed_all
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore, build_token_store
from tests.text.test_cache import Counter
from tests.text.test_tokens import SlowTokenizer, rows_of

LONG = "a b c d e f g h i j k"  # 11 tokens
TEXTS = ["a b", LONG, None, "graph node edge", "", LONG, "a b c d e f g h"]


def build(tokenizer: Any, folder: Path, max_chunks: int | None = 8, max_tokens: int = 6, **options: Any) -> TokenStore:
    return build_token_store(TEXTS, tokenizer, folder, max_tokens, max_chunks=max_chunks, **options)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> TextEncoder:
    try:
        return TextEncoder.load(tiny_text_model(tmp_path / "model", request.param), dtype="float32")
    except AttributeError:
        pytest.skip(f"this transformers has no {request.param}")


def text_of(store: TokenStore, row: int, special: list[int]) -> list[int]:
    """Content tokens of a row, from all its pieces."""
    pieces, _ = store.pieces([store.row_of_text[row]])
    return [i for i in store.tokens(pieces)[0].tolist() if i not in special]


def test_pieces_lose_nothing_and_keep_their_special_tokens(family: TextEncoder, tmp_path: Path) -> None:
    tokenizer = family.tokenizer
    store = build(tokenizer, tmp_path)
    special = [i for i in (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id) if i is not None]
    added = tokenizer.num_special_tokens_to_add()
    for row, text in enumerate(TEXTS):
        whole = tokenizer(text or "", add_special_tokens=False)["input_ids"]
        assert text_of(store, row, special) == whole
        pieces, _ = store.pieces([store.row_of_text[row]])
        assert len(pieces) == max(1, -(-len(whole) // (6 - added)))
        assert store.weights(pieces).sum() == max(len(whole), 1)
        for ids in (store.tokens([piece])[0].tolist() for piece in pieces):
            content = [i for i in ids if i not in special]
            bare = tokenizer.decode(content)
            assert ids == (tokenizer(bare)["input_ids"] or [tokenizer.bos_token_id])
    assert store.lengths().max() == 6
    assert store.num_texts == 5
    assert store.meta["truncated_texts"] == 0


@torch.no_grad()
def test_vector_of_a_long_text_is_the_weighted_mean_of_its_pieces(family: TextEncoder, tmp_path: Path) -> None:
    """Against the model called on every piece alone, written out by hand."""
    store = build(family.tokenizer, tmp_path)
    room = 6 - family.tokenizer.num_special_tokens_to_add()
    words = LONG.split()
    parts = [words[i : i + room] for i in range(0, len(words), room)]
    assert len(parts) > 1
    alone = build_token_store([" ".join(p) for p in parts], family.tokenizer, tmp_path / "alone", 6)
    vectors = torch.cat([family(collate(alone, [alone.row_of_text[i]])) for i in range(len(parts))])
    expected = sum(len(p) * v for p, v in zip(parts, vectors, strict=True)) / len(words)
    got = text_vectors(family(batch := collate_rows(store, [0, 1, 5])), batch)
    torch.testing.assert_close(got[1], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[2], got[1])
    cached = embed_all(family, store, tmp_path).gather([0, 1, 5])
    np.testing.assert_allclose(cached, got.numpy(), atol=4e-3)


@pytest.mark.parametrize("normalize", [False, True])
@torch.no_grad()
def test_normalised_encoders_give_unit_vectors(bert_folder: Path, tmp_path: Path, normalize: bool) -> None:
    encoder = TextEncoder.load(bert_folder, dtype="float32", normalize=normalize)
    store = build(encoder.tokenizer, tmp_path)
    rows = np.arange(len(TEXTS))
    cached = embed_all(encoder, store, tmp_path).gather(rows).astype(np.float32)
    batch = collate_rows(store, rows)
    np.testing.assert_allclose(cached, text_vectors(encoder(batch), batch, normalize=normalize), atol=4e-3)
    unit = np.abs(np.linalg.norm(cached, axis=1) - 1) < 2e-3
    assert unit.all() == normalize


def test_short_texts_are_bit_equal_to_truncate(bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path) -> None:
    texts = texts.slice(0, 30)
    plain = build_token_store(texts, bert.tokenizer, tmp_path / "plain", 64)
    chunked = build_token_store(texts, bert.tokenizer, tmp_path / "chunk", 64, max_chunks=8)
    assert plain.meta["truncated_texts"] == 0
    for name in ("tokens.npy", "offsets.npy", "row_of_text.npy"):
        assert (plain.folder / name).read_bytes() == (chunked.folder / name).read_bytes()
    assert not (plain.folder / "piece_offsets.npy").exists()
    assert chunked.piece_offsets is not None
    assert chunked.piece_offsets.tolist() == list(range(len(plain) + 1))
    caches = [embed_all(bert, store, tmp_path / "vectors") for store in (plain, chunked)]
    assert caches[0].folder != caches[1].folder
    assert caches[0].vectors.tobytes() == caches[1].vectors.tobytes()
    batch = collate_rows(chunked, np.arange(5))
    assert batch.piece_of is batch.weight is None
    # Beside a long text too, a short one keeps its bits.
    mixed = build(bert.tokenizer, tmp_path / "mixed")
    cache = embed_all(bert, mixed, tmp_path / "vectors")
    piece = mixed.pieces([mixed.row_of_text[3]])[0]
    assert cache.gather([1, 3, 0])[1].tobytes() == cache.vectors[piece[0]].tobytes()


def test_max_chunks_bounds_and_counts(bert: TextEncoder, tmp_path: Path) -> None:
    store = build(bert.tokenizer, tmp_path, max_chunks=2)
    assert np.diff(store.piece_offsets).tolist() == [1, 2, 1, 1, 2]  # null and '' are one text
    assert store.meta["truncated_texts"] == 1
    cls, sep = bert.tokenizer.cls_token_id, bert.tokenizer.sep_token_id
    assert text_of(store, 1, [cls, sep]) == bert.tokenizer("a b c d e f g h", add_special_tokens=False)["input_ids"]
    assert rows_of(build(bert.tokenizer, tmp_path, max_chunks=1)) == rows_of(build(bert.tokenizer, tmp_path, None))
    with pytest.raises(DataError, match=r"1 of 5 distinct texts are longer than 2 pieces of max_tokens=6"):
        build(bert.tokenizer, tmp_path, max_chunks=2, truncate="error")


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("max_chunks", [None, 2, 8])
def test_slow_tokenizer_gives_the_same_pieces(tmp_path: Path, side: str, max_chunks: int | None) -> None:
    tokenizer = tiny_tokenizer("bert")
    tokenizer.truncation_side = side
    fast = build(tokenizer, tmp_path / "fast", max_chunks)
    slow = build(SlowTokenizer(tokenizer), tmp_path / "slow", max_chunks)
    assert rows_of(slow) == rows_of(fast)
    assert slow.meta["truncated_texts"] == fast.meta["truncated_texts"] == {None: 2, 2: 1, 8: 0}[max_chunks]
    first_word = "h" if side == "left" else "a"  # which end a cut keeps
    assert tokenizer.convert_tokens_to_ids(first_word) in fast.tokens(fast.pieces([fast.row_of_text[6]])[0][:1])[0]


def test_store_and_cache_are_reused_by_question(bert: TextEncoder, tmp_path: Path) -> None:
    folders = {build(bert.tokenizer, tmp_path, n).folder for n in (None, 2, 8, 8)}
    assert len(folders) == 3
    store = TokenStore.open(build(bert.tokenizer, tmp_path).folder)
    first = embed_all(bert, store, tmp_path)
    assert embed_all(bert, store, tmp_path).folder == first.folder
    (store.folder / "piece_offsets.npy").unlink()
    with pytest.raises(DataError, match="piece_offsets.npy: the file is missing"):
        TokenStore.open(store.folder)


def test_interrupted_sweep_over_pieces_resumes_to_the_same_file(
    bert: TextEncoder, bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_FLUSH_EVERY_S", 0.0)
    store = build(bert.tokenizer, tmp_path)
    whole = embed_all(bert, store, tmp_path / "whole", max_tokens_per_batch=12)
    broken = TextEncoder.load(bert_folder, dtype="float32")
    Counter(broken, fail_at=3)
    with pytest.raises(RuntimeError, match="power"):
        embed_all(broken, store, tmp_path / "cut", max_tokens_per_batch=12)
    marks = np.load(tmp_path / "cut" / whole.folder.name / "done.npy")
    assert len(marks) == len(store) > store.num_texts
    assert 0 < (marks != 0).sum() < len(store)
    resumed = embed_all(bert, store, tmp_path / "cut", max_tokens_per_batch=12)
    assert (resumed.folder / "vectors.npy").read_bytes() == (whole.folder / "vectors.npy").read_bytes()


def test_gradient_flows_to_all_pieces_by_their_weight(bert: TextEncoder, tmp_path: Path) -> None:
    store = build(bert.tokenizer, tmp_path)
    batch = collate_rows(store, [1, 0, 1]).to("cpu")
    assert batch.piece_of is not None
    assert batch.weight is not None
    pieces = bert(batch).detach().requires_grad_()
    text_vectors(pieces, batch).sum().backward()
    assert pieces.grad is not None
    # Row 0 is its only piece; row 1, asked for twice, has 4 + 4 + 3 of 11 tokens.
    of_long = [2 * n / 11 for n in (4, 4, 3)]
    torch.testing.assert_close(pieces.grad[:, 0], torch.tensor([1.0, *of_long]))
    bert.train()
    text_vectors(bert(batch), batch, normalize=True)[0, 0].backward()
    seen = bert.backbone.get_input_embeddings().weight.grad.abs().sum(dim=1) > 0  # type: ignore[operator]
    assert seen[bert.tokenizer(LONG)["input_ids"]].all()
    assert not seen[bert.tokenizer.convert_tokens_to_ids("graph")]


def test_no_texts_and_no_rows(bert: TextEncoder, tmp_path: Path) -> None:
    empty = build_token_store([], bert.tokenizer, tmp_path, 8, max_chunks=3)
    assert (len(empty), empty.num_texts) == (0, 0)
    assert embed_all(bert, empty, tmp_path).gather([]).shape == (0, bert.dim)
    store = build(bert.tokenizer, tmp_path)
    assert embed_all(bert, store, tmp_path).gather([]).shape == (0, bert.dim)
    assert text_vectors(torch.zeros(0, 4), collate_rows(store, [])).shape == (0, 4)
