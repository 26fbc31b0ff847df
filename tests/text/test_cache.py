from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphstorm_like.errors import ConfigError, DataError, GslError
from graphstorm_like.files import exclusive
from graphstorm_like.text import cache as cache_module
from graphstorm_like.text import embed as embed_module
from graphstorm_like.text.batching import collate
from graphstorm_like.text.cache import EmbeddingCache
from graphstorm_like.text.embed import embed_all, embed_batches, embed_texts
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore, build_token_store


@pytest.fixture
def store(bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path) -> TokenStore:
    return build_token_store(texts, bert.tokenizer, tmp_path / "tokens", 40)


class Counter:
    """Counts forward passes of an encoder; raises at the n-th."""

    def __init__(self, encoder: TextEncoder, fail_at: int | None = None) -> None:
        self.texts = self.calls = 0
        self.fail_at = fail_at
        encoder.register_forward_pre_hook(self)

    def __call__(self, module: torch.nn.Module, args: tuple[object, ...]) -> None:
        if self.calls == self.fail_at:
            raise RuntimeError("the power went out")
        self.calls += 1
        self.texts += len(args[0].input_ids)  # type: ignore[attr-defined]


@torch.no_grad()
def test_cache_holds_the_encoder_s_vectors(bert: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    cache = embed_all(bert, store, tmp_path, max_tokens_per_batch=128, progress=lambda *x: seen.append(x))
    assert len(cache) == len(store)
    expected = bert(collate(store, np.arange(len(store)))).half().numpy()
    np.testing.assert_allclose(cache.vectors, expected, atol=2e-3)
    rows = np.array([59, 0, 42, 0])
    gathered = cache.gather(rows)
    assert gathered.dtype == np.float16
    np.testing.assert_array_equal(gathered, cache.vectors[store.row_of_text[rows]])
    tokens = int(store.lengths().sum())
    assert seen[-1] == (tokens, tokens)
    assert {p.name for p in cache.folder.iterdir()} == {"vectors.npy", "meta.json"}


def test_complete_cache_is_reused(bert: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    first = embed_all(bert, store, tmp_path)
    counter = Counter(bert)
    assert embed_all(bert, store, tmp_path).folder == first.folder
    assert counter.calls == 0
    with torch.no_grad():
        next(bert.backbone.parameters()).mul_(1.5)
    assert embed_all(bert, store, tmp_path).folder != first.folder
    assert counter.calls > 0


def test_vectors_of_nan_and_changed_tokens_are_refused(bert: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    """Of the right size: only their hash tells."""
    cache = embed_all(bert, store, tmp_path)
    np.save(cache.folder / "vectors.npy", np.full(cache.vectors.shape, np.nan, dtype=np.float16))
    with pytest.raises(DataError, match=r"vectors\.npy: must hold what was written .*Delete the folder"):
        embed_all(bert, store, tmp_path)
    for name in ("tokens.npy", "offsets.npy", "row_of_text.npy"):
        path = store.folder / name
        before = path.read_bytes()
        path.write_bytes(bytes(len(before)))
        with pytest.raises(DataError, match=rf"{name}: must hold what was written .*Delete the folder"):
            TokenStore.open(store.folder)
        path.write_bytes(before)
    TokenStore.open(store.folder)


def test_caches_of_an_earlier_version_are_passed_over(bert: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    cache = embed_all(bert, store, tmp_path)
    for folder, change in ((cache.folder, {"version": 1}), (store.folder, {"version": 1})):
        earlier = folder.with_name(f"{folder.name}0")
        earlier.mkdir()
        meta = json.loads((folder / "meta.json").read_text())
        (earlier / "meta.json").write_text(json.dumps({**meta, **change}))
    more = build_token_store(["graph", "something else"], bert.tokenizer, tmp_path, 40)
    assert len(embed_all(bert, more, tmp_path)) == 2


def count_of(marks: Path) -> int:
    """Marks that are set in a file that another process may be making."""
    try:
        return int(np.load(marks).sum())
    except (OSError, ValueError, EOFError):
        return 0


def test_vectors_are_mapped_and_any_reader_of_npy_reads_them(
    bert: TextEncoder, store: TokenStore, tmp_path: Path
) -> None:
    cache = embed_all(bert, store, tmp_path)
    assert isinstance(cache.vectors, np.memmap)
    assert not cache.vectors.flags.owndata
    loaded = np.load(cache.folder / "vectors.npy")
    assert (loaded.dtype, loaded.shape) == (np.float16, (len(store), bert.dim))
    assert np.array_equal(loaded, cache.vectors)


def test_interrupted_sweep_resumes_to_the_same_file(
    bert: TextEncoder, bert_folder: Path, store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_FLUSH_EVERY_S", 0.0)
    whole = embed_all(bert, store, tmp_path / "whole", max_tokens_per_batch=128)
    broken, again = (TextEncoder.load(bert_folder, dtype="float32") for _ in range(2))
    Counter(broken, fail_at=7)
    with pytest.raises(RuntimeError, match="power"):
        embed_all(broken, store, tmp_path / "cut", max_tokens_per_batch=128)
    folder = next(p for p in (tmp_path / "cut").iterdir() if p.is_dir())
    with pytest.raises(DataError, match="has not ended"):
        EmbeddingCache.open(folder, store)
    done = int((np.load(folder / "done.npy") != 0).sum())
    assert 0 < done < len(store)
    counter = Counter(again)
    resumed = embed_all(again, store, tmp_path / "cut", max_tokens_per_batch=128)
    assert counter.texts == len(store) - done
    assert (resumed.folder / "vectors.npy").read_bytes() == (whole.folder / "vectors.npy").read_bytes()


SWEEP = """
import sys, time, torch
from graphstorm_like.text import cache, embed
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
model, tokens, target = sys.argv[1:]
torch.set_num_threads(1)
cache._FLUSH_EVERY_S = 0.0
encoder = TextEncoder.load(model, dtype="float32")
encoder.register_forward_pre_hook(lambda *_: time.sleep(0.05))
print("start", flush=True)
embed.embed_all(encoder, TokenStore.open(tokens), target, max_tokens_per_batch=64)
"""


@pytest.mark.slow
def test_killed_sweep_resumes_to_the_same_file(
    bert: TextEncoder, bert_folder: Path, store: TokenStore, tmp_path: Path
) -> None:
    whole = embed_all(bert, store, tmp_path / "whole", max_tokens_per_batch=64)
    target = tmp_path / "killed"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SWEEP, str(bert_folder), str(store.folder), str(target)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as sweep:
        marks = target / whole.folder.name / "done.npy"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (count_of(marks)):
            time.sleep(0.02)
        with pytest.raises(DataError, match=r"process \d+ on .* is already filling this embedding cache"):
            embed_all(bert, store, target, max_tokens_per_batch=64)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait(timeout=30)
    done = count_of(marks)
    assert 0 < done < len(store)
    counter = Counter(bert)
    resumed = embed_all(bert, store, target, max_tokens_per_batch=64)
    assert counter.texts == len(store) - done
    assert (resumed.folder / "vectors.npy").read_bytes() == (whole.folder / "vectors.npy").read_bytes()


def test_resume_with_another_budget_computes_only_what_is_missing(
    bert: TextEncoder, bert_folder: Path, store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_FLUSH_EVERY_S", 0.0)
    broken = TextEncoder.load(bert_folder, dtype="float32")
    Counter(broken, fail_at=5)
    with pytest.raises(RuntimeError):
        embed_all(broken, store, tmp_path, max_tokens_per_batch=128)
    folder = next(p for p in tmp_path.iterdir() if p.name.startswith("vectors-") and p.is_dir())
    done = int((np.load(folder / "done.npy") != 0).sum())
    counter = Counter(bert)
    cache = embed_all(bert, store, tmp_path, max_tokens_per_batch=90)
    assert counter.texts == len(store) - done
    np.testing.assert_allclose(cache.vectors, embed_texts(bert, store, np.arange(len(store))), atol=2e-3)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("meta.json", "[", "readable JSON"),
        ("meta.json", '{"kind": "token store"}', "kind must be 'embedding cache'"),
        ("vectors.npy", "short", "must have .* bytes"),
        ("vectors.npy", None, "is missing"),
    ],
)
def test_damage_is_named(
    bert: TextEncoder, store: TokenStore, tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    folder = embed_all(bert, store, tmp_path).folder
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    with pytest.raises(DataError, match=f"{message}.*Delete the folder"):
        embed_all(bert, store, tmp_path)


def test_foreign_caches_are_refused(bert: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    cache = embed_all(bert, store, tmp_path)
    other = build_token_store(["other"], bert.tokenizer, tmp_path / "tokens", 40)
    with pytest.raises(DataError, match="vectors of other texts"):
        EmbeddingCache.open(cache.folder, other)
    meta = json.loads((cache.folder / "meta.json").read_text())
    (cache.folder / "meta.json").write_text(json.dumps({**meta, "weights": "x", "complete": False}))
    with pytest.raises(DataError, match="belongs to other weights or texts"):
        embed_all(bert, store, tmp_path)


def test_two_threads_wait_for_each_other(tmp_path: Path) -> None:
    order: list[str] = []
    held = threading.Event()

    def first() -> None:
        with exclusive(tmp_path / "lock", "testing"):
            held.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(5)
    with pytest.raises(DataError, match="is already testing"), exclusive(tmp_path / "lock", "testing"):
        pass
    with exclusive(tmp_path / "lock", "testing", wait_s=10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_part_of_the_batches_and_part_of_the_texts(bert: TextEncoder, store: TokenStore) -> None:
    ids = np.array([5, 3, 9, 5])
    vectors = embed_texts(bert, store, ids, max_tokens_per_batch=64)
    np.testing.assert_array_equal(vectors[0], vectors[3])
    parts = {tuple(b.tolist()): v for b, v in embed_batches(bert, store, [np.array([5, 3]), np.array([9])])}
    np.testing.assert_allclose(parts[(9,)][0], vectors[2], atol=2e-3)
    assert embed_texts(bert, store, []).shape == (0, bert.dim)


def test_no_texts_at_all(bert: TextEncoder, tmp_path: Path) -> None:
    empty = build_token_store([], bert.tokenizer, tmp_path, 8)
    cache = embed_all(bert, empty, tmp_path)
    assert cache.gather([]).shape == (0, bert.dim)


def test_troubles_are_named(
    bert: TextEncoder, store: TokenStore, texts: pa.ChunkedArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = build_token_store(texts, bert.tokenizer, tmp_path, 100)
    with pytest.raises(ConfigError, match=r"max_tokens must be at most 64, the encoder's positions \(got 100\)"):
        embed_all(bert, long, tmp_path)
    monkeypatch.setattr(embed_module, "_COLLATE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(embed_module, "collate", lambda *_, **__: time.sleep(0.3))
    with pytest.raises(GslError, match=r"text collate: batch 0 of \d+ did not come within"):
        embed_all(bert, store, tmp_path)
    monkeypatch.undo()
    with torch.no_grad():
        next(bert.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match=r"vector of distinct text \d+ must be finite"):
        embed_all(bert, store, tmp_path)
