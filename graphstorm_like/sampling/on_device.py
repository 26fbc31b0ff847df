"""Batches on the device that computes: on a GPU the next one is copied while the present one is computed.

Its tensors go into pinned memory, from where the GPU fetches them on a stream of its own; computing waits for them on
the GPU, not here. Sampler processes (train.workers) make batches meanwhile, so that fetching overlaps too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from graphstorm_like.sampling.batch import MiniBatch, map_tensors

Begin = Callable[[MiniBatch], Callable[[], MiniBatch]]
"""Begins to copy a batch; the result waits for the copy."""


def on_device(batches: Iterator[MiniBatch], device: torch.device) -> Iterator[MiniBatch]:
    """The same batches on a device, in order."""
    if device.type == "cuda":
        return one_ahead(batches, GpuCopies(device).begin)
    return (batch.to(device) for batch in batches)


def one_ahead(batches: Iterator[MiniBatch], begin: Begin) -> Iterator[MiniBatch]:
    """Begin with the next batch before the present one is handed out."""
    finish: Callable[[], MiniBatch] | None = None
    for batch in batches:
        begun = begin(batch)
        if finish is not None:
            yield finish()
        finish = begun
    if finish is not None:
        yield finish()


class GpuCopies:
    """Copies to a GPU on a stream of its own, from pinned memory, which torch keeps and uses again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def begin(self, batch: MiniBatch) -> Callable[[], MiniBatch]:
        """See Begin."""
        pinned: MiniBatch = map_tensors(batch, _pinned)
        with torch.cuda.stream(self._stream):
            moved = pinned.to(self._device)
        copied = self._stream.record_event()

        def finish() -> MiniBatch:
            computing = torch.cuda.current_stream(self._device)
            computing.wait_event(copied)

            def used_by_computing(tensor: Tensor) -> Tensor:
                tensor.record_stream(computing)  # its memory is not given away before these computations have ended
                return tensor

            result: MiniBatch = map_tensors(moved, used_by_computing)
            return result

        return finish


def _pinned(tensor: Tensor) -> Tensor:
    return tensor.pin_memory() if tensor.device.type == "cpu" else tensor
