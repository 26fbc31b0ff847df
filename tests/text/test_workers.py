"""Embedding by several processes: the same bytes as by one, whoever is killed; nobody hangs and nobody stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text import cache as cache_module
from graphstorm_like.text import workers as workers_module
from graphstorm_like.text.embed import embed_all
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore, build_token_store


@pytest.fixture
def store(bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path) -> TokenStore:
    return build_token_store(texts, bert.tokenizer, tmp_path / "tokens", 20, max_chunks=4)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The workers that were started."""
    started: list[Any] = []

    class Spy(workers_module._Worker):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)

    monkeypatch.setattr(workers_module, "_Worker", Spy)
    return started


def content(cache: Any) -> bytes:
    assert {p.name for p in cache.folder.iterdir()} == {"vectors.npy", "meta.json"}
    return (cache.folder / "vectors.npy").read_bytes()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_only_for_long_sweeps_that_fit_into_memory(
    bert: TextEncoder, store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: list[Any]
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(workers_module, "_available_memory", lambda: 1e12)
    table = bert.backbone.get_input_embeddings().weight  # type: ignore[operator]
    weights = sum(p.numel() for p in bert.backbone.parameters() if p.ndim > 1) - table.numel()
    enough = int(8 * workers_module._WORTH_IT / (2 * weights)) + 1
    assert workers_module.default_workers(bert, enough) == 8
    assert workers_module.default_workers(bert, enough // 2) == 1
    monkeypatch.setattr(workers_module, "_available_memory", lambda: 7e9)
    assert workers_module.default_workers(bert, enough) == 3  # half of it, at 1 GB each
    monkeypatch.setattr(workers_module, "_available_memory", lambda: 1e6)
    assert workers_module.default_workers(bert, enough) == 1
    monkeypatch.undo()
    assert 1e6 < workers_module._available_memory() < float("inf")
    embed_all(bert, store, tmp_path)
    embed_all(bert, store, tmp_path / "one", workers=1)
    assert pool == []


def test_silence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_TIMEOUT_S", 0.05)
    ours, theirs = Pipe()
    worker: Any = SimpleNamespace(pipe=ours)
    with pytest.raises(LaunchError, match=r"pipe=.*: no answer for 0 s"):
        next(workers_module._deal([worker], [np.array([0])], 4))
    theirs.close()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "llama", "modernbert"])
def test_same_bytes_for_any_number_of_workers(
    family: str, texts: pa.ChunkedArray, tmp_path: Path, pool: list[Any]
) -> None:
    encoder = TextEncoder.load(tiny_text_model(tmp_path / "model", family), dtype="bfloat16", normalize=True)
    with torch.no_grad():  # weights that are in no folder
        next(encoder.backbone.parameters()).mul_(1.5)
    store = build_token_store(texts, encoder.tokenizer, tmp_path, 20, max_chunks=4)
    seen: list[tuple[int, int]] = []
    caches = [
        embed_all(encoder, store, tmp_path / str(n), 64, workers=n, progress=lambda *x: seen.append(x)) for n in (1, 2)
    ]
    assert content(caches[0]) == content(caches[1])
    tokens = int(store.lengths().sum())
    assert seen.count((tokens, tokens)) == 2
    assert len(pool) == 2
    assert not any(alive(worker.process.pid) for worker in pool)


@pytest.mark.slow
def test_killed_worker_is_named_and_the_next_run_completes(
    bert: TextEncoder, store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: list[Any]
) -> None:
    monkeypatch.setattr(cache_module, "_FLUSH_EVERY_S", 0.0)
    whole = embed_all(bert, store, tmp_path / "whole", 64, workers=1)
    killed: list[float] = []

    def kill(*_: int) -> None:
        if not killed:
            pool[0].process.send_signal(signal.SIGKILL)
            killed.append(time.monotonic())

    with pytest.raises(LaunchError, match=r"text worker 1 \(process \d+\) was killed \(SIGKILL; .*run again"):
        embed_all(bert, store, tmp_path / "cut", 64, workers=2, progress=kill)
    assert time.monotonic() - killed[0] < 5
    assert not alive(pool[1].process.pid)
    folder = tmp_path / "cut" / whole.folder.name
    assert not (folder / "workers").exists()
    assert 0 < np.load(folder / "done.npy").sum() < len(store)
    assert content(embed_all(bert, store, tmp_path / "cut", 64, workers=2)) == content(whole)


@pytest.mark.slow
def test_troubles_of_a_worker_reach_the_user_and_end_the_others(
    bert: TextEncoder, store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: list[Any]
) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        embed_all(bert, store, tmp_path, 64, workers=2, progress=interrupt)
    assert not any(alive(worker.process.pid) for worker in pool)  # although the traceback still holds the frames
    del caught
    monkeypatch.setattr(bert, "weights_fingerprint", lambda: "another")
    with pytest.raises(DataError, match=r"model.text_encoder.workers: must be 1 for this model"):
        embed_all(bert, store, tmp_path, 64, workers=2)
    monkeypatch.undo()
    with torch.no_grad():
        next(bert.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match=r"vector of distinct text \d+ must be finite"):
        embed_all(bert, store, tmp_path, 64, workers=2)


SWEEP = """
import sys, time
from graphstorm_like.text import workers
from graphstorm_like.text.embed import embed_all
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
model, tokens, target = sys.argv[1:]


class Spy(workers._Worker):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        print(self.process.pid, flush=True)


workers._Worker = Spy


def stall(*_):
    print("stalled", flush=True)
    time.sleep(600)


# No `if __name__ == "__main__"`: a user's script may have none.
embed_all(TextEncoder.load(model, dtype="float32"), TokenStore.open(tokens), target, 64, workers=2, progress=stall)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_killed_parent_leaves_no_worker(
    bert: TextEncoder, bert_folder: Path, store: TokenStore, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(SWEEP)
    command = [sys.executable, str(tmp_path / "script.py"), str(bert_folder), str(store.folder), str(tmp_path / "cut")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline().strip() for _ in range(3)]
        pids = [int(line) for line in lines[:2]]
        assert lines[2] == "stalled"
        assert all(alive(pid) for pid in pids)
        parent.kill()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)
    whole = embed_all(bert, store, tmp_path / "whole", 64, workers=1)
    assert (tmp_path / "cut" / whole.folder.name / "workers").exists()
    assert content(embed_all(bert, store, tmp_path / "cut", 64)) == content(whole)
