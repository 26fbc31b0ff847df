"""Batches of texts embedded by several processes on one machine, where the threads of one process stop scaling.

A worker is a program of its own (a fork would copy torch's threads in any state, and spawning with multiprocessing
would run the user's script again). It loads the encoder from a scratch folder and computes the batches whose numbers
it is sent: two at a time, longest first, so that no worker waits and all end together. Vectors come back through its
pipe and the parent writes them, so files, marks and resume are those of one process. When the parent dies, however it
dies, its ends of the pipes close and the workers end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphstorm_like.allocator import keeping_freed_memory
from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.forking import child_environment
from graphstorm_like.text.batching import Indices, collate
from graphstorm_like.text.cache import Vectors, to_half
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore

# Batches sent to a worker beyond the one it works on: it does not wait while the parent flushes.
_AHEAD = 1
# A batch of 4,096 tokens takes a second or less, loading a large model a minute.
_TIMEOUT_S = 600.0
# Workers take some seconds to start: below this many products and sums per core (20 s of a slow one) there are none.
_WORTH_IT = 2e12
# Memory of one worker beside the weights (0.75 to 0.9 GB in all for MiniLM-L6 in bfloat16, 4,096 tokens per batch).
_WORKER_BYTES = 1e9
_READY, _VECTORS, _PROBLEM = b"+", b"=", b"!"


def default_workers(encoder: TextEncoder, tokens: int) -> int:
    """Processes for a sweep over `tokens` tokens: one per compute thread of this process, fewer when memory is short,
    and 1 when the sweep is too small to be worth their start."""
    if os.name != "posix":
        return 1
    table = encoder.backbone.get_input_embeddings().weight  # type: ignore[operator]
    matrices = sum(p.numel() for p in encoder.backbone.parameters() if p.ndim > 1 and p is not table)
    cores = torch.get_num_threads()
    if 2.0 * matrices * tokens < _WORTH_IT * cores:
        return 1
    weights = sum(p.nbytes for p in encoder.backbone.parameters())
    return max(1, min(cores, int(0.5 * _available_memory() / (weights + _WORKER_BYTES))))


def _available_memory() -> float:
    """Bytes, by the kernel and by the container's limit (cgroup v2)."""
    limits = [float("inf")]
    for path, name in (("/proc/meminfo", "MemAvailable:"), ("/sys/fs/cgroup/memory.max", "")):
        with suppress(OSError, IndexError, ValueError):
            text = Path(path).read_text(encoding="ascii")
            limits.append(float(text.split(name)[1].split()[0]) * 1024 if name else float(text))
    return min(limits)


def embed_in_workers(
    encoder: TextEncoder, store: TokenStore, batches: Sequence[Indices], workers: int, scratch: Path
) -> Generator[tuple[Indices, Vectors], None, None]:
    """Like `embed_batches`, in any order, by `workers` processes that share this process's compute threads.

    `scratch` is a folder to make; it is removed at the end. Close the iterator to end the workers.

    Raises:
        LaunchError: a worker died, or none answered for _TIMEOUT_S.
        DataError: a worker found a vector that is not valid.
    """
    encoder.save(scratch)
    offsets = np.cumsum([0, *map(len, batches)])
    np.savez(scratch / "batches.npz", texts=np.concatenate(batches), offsets=offsets)
    job = {
        "model": str(scratch),
        "store": str(store.folder),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "attention": encoder.backbone.config._attn_implementation,  # type: ignore[union-attr]
        "weights": encoder.weights_fingerprint(),
        "threads": max(1, torch.get_num_threads() // workers),
    }
    pool: list[_Worker] = []
    try:
        for name in range(1, min(workers, len(batches)) + 1):
            pool.append(_Worker(f"text worker {name}", job))
        yield from _deal(pool, batches, encoder.dim)
    finally:
        for worker in pool:
            worker.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def _deal(pool: list[_Worker], batches: Sequence[Indices], dim: int) -> Iterator[tuple[Indices, Vectors]]:
    todo = iter(range(len(batches)))
    working = {worker.pipe: worker for worker in pool}
    while working:
        answered = wait(list(working), timeout=_TIMEOUT_S)
        if not answered:
            silent = ", ".join(str(worker) for worker in working.values())
            raise LaunchError(f"{silent}: no answer for {_TIMEOUT_S:.0f} s. Finished work is kept: run again")
        for pipe in answered:
            assert isinstance(pipe, Connection)
            worker = working[pipe]
            kind, content = worker.receive()
            if kind == _VECTORS:
                batch = batches[worker.sent.popleft()]
                yield batch, np.frombuffer(content, dtype=np.float16).reshape(len(batch), dim)
            while len(worker.sent) <= _AHEAD and (number := next(todo, None)) is not None:
                worker.send(number)
            if not worker.sent:
                del working[pipe]


class _Worker:
    """The parent's view of one worker: its process, its pipe and the batches it was sent."""

    def __init__(self, name: str, job: dict[str, Any]) -> None:
        self.name = name
        self.sent: deque[int] = deque()
        self.pipe, theirs = Pipe()
        # -P: no module is imported from the current folder.
        command = [sys.executable, "-m", __name__, str(theirs.fileno()), json.dumps(job)]
        self.process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C goes to the parent alone, which ends its workers
            env={**child_environment(), "OMP_NUM_THREADS": str(job["threads"])},
        )
        theirs.close()

    def __str__(self) -> str:
        return f"{self.name} (process {self.process.pid})"

    def send(self, number: int) -> None:
        """Have a batch embedded. A few bytes: this never blocks."""
        with suppress(OSError):  # the worker has died, which the next `receive` reports
            self.pipe.send_bytes(number.to_bytes(8, "little"))
        self.sent.append(number)

    def receive(self) -> tuple[bytes, bytes]:
        """(kind, content) of the next message; raises what the worker raised, and LaunchError when it is dead."""
        try:
            message = self.pipe.recv_bytes()
        except (EOFError, OSError):
            raise LaunchError(f"{self} {self._end()}. Finished work is kept: run again") from None
        if message[:1] == _PROBLEM:
            raise DataError(message[1:].decode())
        return message[:1], message[1:]

    def _end(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self.process.wait(timeout=5)
            if code == -signal.SIGKILL:
                return "was killed (SIGKILL; when memory runs out, choose fewer model.text_encoder.workers)"
            return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return "closed its pipe"

    def stop(self) -> None:
        """End the process; it has nothing to save."""
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def _serve(pipe: Connection, job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    encoder = TextEncoder.load(job["model"], dtype=job["dtype"], attention=job["attention"])
    if encoder.weights_fingerprint() != job["weights"]:
        raise DataError(
            "model.text_encoder.workers: must be 1 for this model, which differs after being saved and loaded"
        )
    store = TokenStore.open(job["store"])
    with np.load(Path(job["model"]) / "batches.npz") as saved:
        texts, offsets = saved["texts"], saved["offsets"]
    pipe.send_bytes(_READY)
    with keeping_freed_memory(), torch.inference_mode():
        while True:
            number = int.from_bytes(pipe.recv_bytes(), "little")
            batch = texts[offsets[number] : offsets[number + 1]]
            pipe.send_bytes(_VECTORS + to_half(batch, encoder(collate(store, batch))).tobytes())


def main(arguments: Sequence[str]) -> None:
    """A worker: the number of its end of the pipe, and its job as JSON."""
    with Connection(int(arguments[0])) as pipe, suppress(EOFError, ConnectionError):  # the parent is gone
        try:
            _serve(pipe, json.loads(arguments[1]))
        except DataError as problem:  # of the texts or the model; anything else is printed and ends this process
            pipe.send_bytes(_PROBLEM + str(problem).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
