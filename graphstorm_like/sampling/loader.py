"""Batches of an epoch, from any step on, made in this process or in advance by sampler processes.

The content of a batch depends on its position only, so neither the number of workers nor a resume changes it.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from types import FrameType

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from graphstorm_like.errors import LaunchError
from graphstorm_like.forking import may_fork
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.parent_death import DieWithParent, die_with_starter
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.sampling.seeds import SeedStream
from graphstorm_like.sampling.steps import Seeder, Step

CHECK_SECONDS = 1.0
"""How often a wait for a batch looks whether all sampler processes live."""
TRACKER_SILENT = "ignore:resource_tracker:UserWarning"
"""Else multiprocessing's tracker writes a warning behind the last words of a process that ends by an error."""


@dataclass(frozen=True)
class BatchPipeline:
    """Makes batches: the seeder first, then the steps, in this order."""

    seeder: Seeder
    steps: Sequence[Step]

    def make(
        self, ids: IntArray, position: StreamPosition, seed_times: Mapping[NodeType, Tensor] | None = None
    ) -> MiniBatch:
        """The batch of some ids at a position. seed_times: instead of those that the seeder gives."""
        batch = self.seeder(ids, position)
        if seed_times:
            batch = batch.replace(seed_times=dict(seed_times))
        for step in self.steps:
            batch = step(batch)
        return batch


class _Steps(Dataset[MiniBatch]):
    """One epoch as a dataset indexed by step; each process draws the epoch's order once."""

    def __init__(self, pipeline: BatchPipeline, stream: SeedStream, epoch: int) -> None:
        self.pipeline, self.stream, self.epoch = pipeline, stream, epoch
        self._order = stream.epoch_order(epoch)

    def __len__(self) -> int:
        return self.stream.steps

    def __getitem__(self, step: int) -> MiniBatch:
        return self.pipeline.make(self.stream.step_ids(self._order, step), StreamPosition(self.epoch, step))


@dataclass(frozen=True)
class _Begin:
    """Runs at the start of a sampler process, which uses one thread: the cores are for training."""

    die_with_parent: DieWithParent | None
    """Of a fork: torch itself also checks that the parent is alive, but misses one that died before the first check.
    Others are children of the fork server, and watch this process."""

    def __call__(self, _worker: int) -> None:
        if self.die_with_parent is None:
            die_with_starter()
        else:
            self.die_with_parent()
        torch.set_num_threads(1)


def _start_method() -> str:
    """fork shares the opened graph, and starts in milliseconds. A process with connections to graph servers must not be
    forked: a fork server, which has imported what this process has, forks itself, and each child opens the graph."""
    if sys.platform != "linux":
        return "spawn"
    if may_fork():
        return "fork"
    start_fork_server()
    return "forkserver"


def start_fork_server() -> None:
    """Start the process that forks sampler processes, unless it runs. It imports in the background."""
    if TRACKER_SILENT not in sys.warnoptions:  # which multiprocessing hands on to its helpers
        sys.warnoptions.append(TRACKER_SILENT)
    own = [name for name in sys.modules if name.startswith("graphstorm_like.")]
    # Arrow looks for pandas when it converts numbers, which takes .3 CPU s: once, and not in each child.
    multiprocessing.set_forkserver_preload(["torch", "pandas", "pyarrow.compute", *own])
    forkserver.ensure_running()


class _Deaths:
    """torch reports a dead sampler process from a signal handler, as an error at any point of the main thread, such as
    in the middle of a checkpoint. Here the error waits until the next batch is requested."""

    def __init__(self) -> None:
        self._asking = False
        self._error: RuntimeError | None = None
        self._torchs: Callable[[int, FrameType | None], object] | None = None

    def watch(self) -> None:
        """Replace torch's handler, which torch sets when the first sampler process starts."""
        handler = signal.getsignal(signal.SIGCHLD)
        if threading.current_thread() is threading.main_thread() and callable(handler) and handler != self._hear:
            self._torchs = handler
            signal.signal(signal.SIGCHLD, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        assert self._torchs is not None
        try:
            self._torchs(number, frame)
        except RuntimeError as err:
            if self._asking:
                raise
            self._error = err

    def forget(self) -> None:
        """Drop an error of an earlier epoch."""
        self._error = None

    def next(self, batches: Iterator[MiniBatch]) -> MiniBatch | None:
        """The next batch, None after the last."""
        self._asking = True
        try:
            if self._error is not None:
                raise self._error
            return next(batches, None)
        finally:
            self._asking = False


_deaths = _Deaths()


def _next(batches: Iterator[MiniBatch], seconds: float) -> MiniBatch | None:
    """The next batch, None after the last. torch looks for dead sampler processes only when a wait ends: it waits
    CHECK_SECONDS, again and again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _deaths.next(batches)
        except RuntimeError as err:
            if not str(err).startswith("DataLoader timed out"):
                raise
            if time.monotonic() >= deadline:
                raise RuntimeError("DataLoader: no batch came") from None


def epoch_batches(
    pipeline: BatchPipeline,
    stream: SeedStream,
    epoch: int,
    *,
    first_step: int = 0,
    end_step: int | None = None,
    workers: int = 0,
    timeout_seconds: float = 600.0,
) -> Iterator[MiniBatch]:
    """The batches of an epoch from `first_step` on, in order, up to `end_step` (None: all).

    Raises LaunchError when a sampler process dies or a batch takes longer than `timeout_seconds`.
    """
    steps = _Steps(pipeline, stream, epoch)
    order = range(first_step, len(steps) if end_step is None else end_step)
    if workers == 0:
        yield from (steps[step] for step in order)
        return
    how = _start_method()
    loader: DataLoader[MiniBatch] = DataLoader(
        steps,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        prefetch_factor=4,
        timeout=min(timeout_seconds, CHECK_SECONDS),
        worker_init_fn=_Begin(DieWithParent() if how == "fork" else None),
        multiprocessing_context=how,
    )
    batches: Iterator[MiniBatch] = iter(())
    _deaths.forget()
    try:
        batches = iter(loader)
        _deaths.watch()
        while (batch := _next(batches, timeout_seconds)) is not None:
            yield batch
    except Exception as err:
        # A sampler process that dies while it sends tensors causes errors of many types.
        some_dead = any(sampler.exitcode for sampler in getattr(batches, "_workers", ()))  # exit code 0: ended normally
        lost = some_dead or isinstance(err, (ConnectionError, EOFError)) or str(err).startswith("DataLoader")
        getattr(batches, "_shutdown_workers", lambda: None)()  # the error's traceback would keep the processes alive
        if not lost:
            raise
        raise LaunchError(
            f"epoch {epoch}: sampler processes must deliver a batch within {timeout_seconds:g} s ({err}). "
            f"Look for a killed process (memory?), raise train.timeout_seconds, or set train.workers=0"
        ) from err
