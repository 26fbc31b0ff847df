"""Batches of an epoch, from any step on, made in this process or in advance by sampler processes.

The content of a batch depends on its position only, so neither the number of workers nor a resume changes it.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import torch
from torch.utils.data import DataLoader, Dataset

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.store import IntArray
from graphstorm_like.parent_death import DieWithParent
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.sampling.seeds import SeedStream
from graphstorm_like.sampling.steps import Seeder, Step


@dataclass(frozen=True)
class BatchPipeline:
    """Makes batches: the seeder first, then the steps, in this order."""

    seeder: Seeder
    steps: Sequence[Step]

    def make(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """The batch of some ids at a position."""
        batch = self.seeder(ids, position)
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

    die_with_parent: DieWithParent
    """torch itself also checks that the parent is alive, but misses a parent that died before the first check."""

    def __call__(self, _worker: int) -> None:
        self.die_with_parent()
        torch.set_num_threads(1)


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


def epoch_batches(
    pipeline: BatchPipeline,
    stream: SeedStream,
    epoch: int,
    *,
    first_step: int = 0,
    workers: int = 0,
    timeout_seconds: float = 600.0,
) -> Iterator[MiniBatch]:
    """The batches of an epoch from `first_step` on, in order.

    Raises LaunchError when a sampler process dies or a batch takes longer than `timeout_seconds`.
    """
    steps = _Steps(pipeline, stream, epoch)
    order = range(first_step, len(steps))
    if workers == 0:
        yield from (steps[step] for step in order)
        return
    loader: DataLoader[MiniBatch] = DataLoader(
        steps,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        prefetch_factor=4,
        timeout=timeout_seconds,
        worker_init_fn=_Begin(DieWithParent()),
        # fork shares the opened graph; elsewhere each process opens it.
        multiprocessing_context="fork" if sys.platform == "linux" else "spawn",
    )
    batches: Iterator[MiniBatch] = iter(())
    _deaths.forget()
    try:
        batches = iter(loader)
        _deaths.watch()
        while (batch := _deaths.next(batches)) is not None:
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
