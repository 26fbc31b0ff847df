from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.errors import DataError
from graphstorm_like.testing.text import tiny_tokenizer
from graphstorm_like.text import column as column_module
from graphstorm_like.text import tokens as tokens_module
from graphstorm_like.text.column import TextColumn
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokenizing import tokenizer_fingerprint
from graphstorm_like.text.tokens import TokenStore, build_token_store


def reference(tokenizer: Any, text: str | None, max_tokens: int) -> list[int]:
    return tokenizer(text or "", truncation=True, max_length=max_tokens)["input_ids"]


def rows_of(store: TokenStore) -> list[list[int]]:
    flat, offsets = store.tokens(np.arange(len(store)))
    return [flat[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def test_store_gives_what_the_tokenizer_gives(bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path) -> None:
    store = build_token_store(texts, bert.tokenizer, tmp_path, 20)
    rows = rows_of(store)
    for row, text in enumerate(texts.to_pylist()):
        assert rows[store.row_of_text[row]] == reference(bert.tokenizer, text, 20)
    assert len(store) == len({text or "" for text in texts.to_pylist()})
    assert store.num_rows == len(texts)
    assert store.lengths().tolist() == [len(row) for row in rows]
    assert store.meta["truncated_texts"] > 0


def test_null_and_empty_text_are_cls_sep(bert: TextEncoder, tmp_path: Path) -> None:
    store = build_token_store([None, "", "a"], bert.tokenizer, tmp_path, 8)
    assert store.row_of_text.tolist() == [0, 0, 1]
    cls_sep = [bert.tokenizer.cls_token_id, bert.tokenizer.sep_token_id]
    assert store.tokens([0])[0].tolist() == cls_sep


def test_a_text_without_tokens_gets_one(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("llama")
    store = build_token_store(["", "a"], tokenizer, tmp_path, 8)
    assert store.tokens([0])[0].tolist() == [tokenizer.bos_token_id]


@given(
    texts=st.lists(st.none() | st.text(max_size=30), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    pick=st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_round_trip(texts: list[str | None], cuts: list[int], pick: Any, tmp_path_factory: Any) -> None:
    tokenizer = tiny_tokenizer("bert")
    bounds = [0, *sorted(min(c, len(texts)) for c in cuts), len(texts)]
    chunks = [pa.array(texts[a:b], type=pa.string()) for a, b in itertools.pairwise(bounds)]
    column = pa.chunked_array(chunks, type=pa.string())
    store = build_token_store(column, tokenizer, tmp_path_factory.mktemp("round"), 16)
    ids = [pick.randrange(len(store)) for _ in range(5)] if len(store) else []
    flat, offsets = store.tokens(ids)
    of_id = {int(store.row_of_text[row]): text for row, text in enumerate(texts)}
    for position, unique in enumerate(ids):
        got = flat[offsets[position] : offsets[position + 1]].tolist()
        assert got == reference(tokenizer, of_id[unique], 16)


def test_dedup_across_slabs_keeps_first_order(
    bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_token_store(texts, bert.tokenizer, tmp_path / "whole", 20)
    monkeypatch.setattr(column_module, "_SLAB_ROWS", 7)
    monkeypatch.setattr(tokens_module, "_TOKENIZE_BATCH", 3)
    slabs = build_token_store(texts, bert.tokenizer, tmp_path / "slabs", 20)
    assert rows_of(slabs) == rows_of(whole)
    assert slabs.row_of_text.tolist() == whole.row_of_text.tolist()


def test_second_call_reuses_and_changes_make_another(bert: TextEncoder, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def build(texts: list[str | None], max_tokens: int = 8) -> Path:
        return build_token_store(texts, bert.tokenizer, tmp_path, max_tokens, progress=lambda *x: seen.append(x)).folder

    first = build(["a", "b"])
    assert seen == [(2, 2)]
    assert build(["a", "b"]) == first
    assert len(seen) == 1
    assert len({first, build(["a", "c"]), build(["a", "b"], 9), build(["a", "b", None])}) == 4


def test_column_hash_ignores_chunks_and_slices_but_not_content() -> None:
    rows = ["a", None, "", "bc", "d"]
    whole = TextColumn(pa.array(rows)).hash
    chunks = pa.chunked_array([pa.array(rows[:2]), pa.array([], pa.string()), pa.array(rows[2:])])
    sliced = pa.array(["zz", *rows, "y"], type=pa.large_string()).slice(1, 5)
    coded = pa.array(rows).dictionary_encode()
    assert {TextColumn(x).hash for x in (rows, chunks, sliced, coded)} == {whole}
    # A null may have bytes of its own in the buffer; they are no content.
    hidden = pa.LargeStringArray.from_buffers(
        5,
        pa.array([0, 1, 2, 2, 4, 5], pa.int64()).buffers()[1],
        pa.py_buffer(b"axbcd"),
        pa.array([True, False, True, True, True]).buffers()[1],
    )
    assert hidden.to_pylist() == rows
    assert TextColumn(hidden).hash == whole
    for other in (["a", "", None, "bc", "d"], ["a", None, "b", "c", "d"], ["a", None, "", "b", "cd"], rows[:4]):
        assert TextColumn(other).hash != whole


def test_fingerprint_ignores_call_state_but_not_vocabulary() -> None:
    tokenizer = tiny_tokenizer("bert")
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["a", "b c"], padding=True, truncation=True, max_length=4)
    assert tokenizer_fingerprint(tokenizer) == before == tokenizer_fingerprint(tiny_tokenizer("bert"))
    assert tokenizer_fingerprint(tiny_tokenizer("roberta")) != before


class SlowTokenizer:
    """The Python-only interface over a fast tokenizer, as a slow one has it."""

    is_fast = False

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "backend_tokenizer":
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._inner(*args, **options)

    def __len__(self) -> int:
        return len(self._inner)


def test_slow_tokenizer_gives_the_same_ids(bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path) -> None:
    fast = build_token_store(texts, bert.tokenizer, tmp_path, 20)
    slow = build_token_store(texts, SlowTokenizer(bert.tokenizer), tmp_path, 20)
    assert slow.folder != fast.folder
    assert rows_of(slow) == rows_of(fast)
    assert slow.meta["truncated_texts"] == fast.meta["truncated_texts"]


def test_error_on_long_texts(bert: TextEncoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 2 distinct texts are longer than max_tokens=5"):
        build_token_store(["a", "a b c d e"], bert.tokenizer, tmp_path, 5, truncate="error")


def test_numbers_are_no_texts(bert: TextEncoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"text column: type must be string \(got 'int64'\)"):
        build_token_store(pa.array([1, 2]), bert.tokenizer, tmp_path, 5)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("meta.json", "{", "meta.json must be readable JSON"),
        ("meta.json", '{"kind": "other"}', "kind must be 'token store' .got 'other'"),
        ("meta.json", '{"kind": "token store", "version": 99}', "version must be 2 .got 99"),
        ("meta.json", '{"kind": "token store", "version": 2}', "the keys key, rows"),
        ("meta.json", None, "the file is missing"),
        ("tokens.npy", "x", "must have .* bytes"),
        ("tokens.npy", "", "must have .* bytes"),
        ("offsets.npy", None, "the file is missing"),
    ],
)
def test_damage_is_named(bert: TextEncoder, tmp_path: Path, file: str, content: str | None, message: str) -> None:
    folder = build_token_store(["a", "b"], bert.tokenizer, tmp_path, 8).folder
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    with pytest.raises(DataError, match=f"{message}.*Delete the folder"):
        TokenStore.open(folder)


def test_arrays_that_do_not_belong_together_are_named(bert: TextEncoder, tmp_path: Path) -> None:
    """Whatever the notes of the files' contents say: no index reaches beyond an array."""
    folder = build_token_store(["a b", "b", "a b"], bert.tokenizer, tmp_path, 8).folder
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "files": {}}))
    TokenStore.open(folder)
    for name, values, message in (
        ("row_of_text.npy", [0, 1], r"must hold an array of shape \(3,\) \(got \(2,\)\)"),
        ("tokens.npy", [1, 2], r"must hold an array of shape \(7,\) \(got \(2,\)\)"),
        ("offsets.npy", [0, 4], r"must hold an array of shape \(3,\) \(got \(2,\)\)"),
        ("offsets.npy", [0, 4, 6], "must end with 7, the number of tokens .got 6"),
    ):
        whole = (folder / name).read_bytes()
        np.save(folder / name, np.array(values))
        with pytest.raises(DataError, match=f"{name}: {message}.*Delete the folder"):
            TokenStore.open(folder)
        (folder / name).write_bytes(whole)


def test_a_store_is_mapped_and_any_reader_of_npy_reads_it(bert: TextEncoder, tmp_path: Path) -> None:
    store = build_token_store(["a b", "b", "a b"], bert.tokenizer, tmp_path, 8, max_chunks=2)
    arrays = {name: np.load(store.folder / f"{name}.npy") for name in ("tokens", "offsets", "row_of_text")}
    assert {name: (a.dtype.name, a.shape) for name, a in arrays.items()} == {
        "tokens": ("uint16", (7,)),
        "offsets": ("int64", (3,)),
        "row_of_text": ("int32", (3,)),
    }
    mapped = (store._tokens, store._offsets, store.row_of_text, store.piece_offsets)
    assert all(isinstance(array, np.memmap) and not array.flags.owndata for array in mapped)


def test_every_text_is_hashed_once(bert: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass gives the store's name and tells equal texts; a store that is there costs no more than that."""
    hashed: list[int] = []
    digests = column_module._digests

    def spy(distinct: pa.Array) -> Any:
        hashed.append(len(distinct))
        return digests(distinct)

    monkeypatch.setattr(column_module, "_digests", spy)
    monkeypatch.setattr(column_module, "_SLAB_ROWS", 3)
    texts = ["a", "b", "a", "c", "b", None]
    build_token_store(texts, bert.tokenizer, tmp_path, 8)
    assert hashed == [2, 3]
    build_token_store(texts, bert.tokenizer, tmp_path, 8)
    assert hashed == [2, 3, 2, 3]


def test_failed_build_leaves_nothing(bert: TextEncoder, tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_token_store(["a", "b"], bert.tokenizer, tmp_path, 8, progress=fail)
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []
    stale = tmp_path / "left-by-a-kill"
    stale.mkdir()
    folder = build_token_store(["a", "b"], bert.tokenizer, tmp_path, 8).folder
    assert json.loads((folder / "meta.json").read_text())["texts"] == 2


def test_stale_temporary_folder_of_a_killed_build_is_removed(bert: TextEncoder, tmp_path: Path) -> None:
    name = build_token_store(["a", "b"], bert.tokenizer, tmp_path / "other", 8).folder.name
    stale = tmp_path / f"{name}.tmp-1"
    stale.mkdir(parents=True)
    build_token_store(["a", "b"], bert.tokenizer, tmp_path, 8)
    assert not stale.exists()


def test_module_imports_without_transformers_and_torch() -> None:
    code = (
        "import sys; sys.modules['transformers'] = sys.modules['torch'] = None\n"
        "import graphstorm_like.text.tokens, graphstorm_like.text.tokenizing\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, timeout=60)
