"""The same batches in the same order, the next one begun before the present one is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.on_device import on_device, one_ahead


def some(count: int) -> Iterator[MiniBatch]:
    for number in range(count):
        yield cast(MiniBatch, SimpleNamespace(number=number, to=lambda device, n=number: (n, device)))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_one_ahead(count: int) -> None:
    events: list[tuple[str, int]] = []

    def begin(batch: MiniBatch) -> Callable[[], MiniBatch]:
        number = cast(Any, batch).number
        events.append(("begin", number))

        def finish() -> MiniBatch:
            events.append(("finish", number))
            return batch

        return finish

    given = []
    for batch in one_ahead(some(count), begin):
        given.append(cast(Any, batch).number)
        events.append(("use", given[-1]))
    assert given == list(range(count))
    for number in range(count):
        own = [events.index((what, number)) for what in ("begin", "finish", "use")]
        assert own == sorted(own)
        if number:
            assert own[0] < events.index(("use", number - 1)), "copied while the one before is used"


def test_on_a_cpu_nothing_is_made_ahead() -> None:
    made = []

    def batches() -> Iterator[MiniBatch]:
        for batch in some(3):
            made.append(batch)
            yield batch

    device = torch.device("cpu")
    moved = on_device(batches(), device)
    assert next(moved) == (0, device)
    assert len(made) == 1
    assert list(moved) == [(1, device), (2, device)]
