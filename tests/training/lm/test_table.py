"""The table of vectors computes what has changed, no more, and its rows are never older than promised."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from graphstorm_like.graph.group import Group
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.lm.table import VectorTable


def counted(encoder: TextEncoder) -> list[int]:
    """Number of texts of each forward pass."""
    seen: list[int] = []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0].input_ids)))
    return seen


def change_weights(encoder: TextEncoder) -> None:
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)


def test_validation_encodes_only_what_has_changed(encoder: TextEncoder, store: TokenStore) -> None:
    seen, table = counted(encoder), VectorTable(encoder, store, False)
    first = table.rows(np.array([0, 1, 6]))
    assert sum(seen) == 2  # 1 and 6 share a text
    assert np.array_equal(first[1], first[2])
    table.rows(np.array([6, 0]))
    assert sum(seen) == 2
    table.rows(np.array([0, 3]))
    assert sum(seen) == 3
    change_weights(encoder)
    table.now += 1
    second = table.rows(np.array([0, 1, 6]))
    assert sum(seen) == 5
    assert not np.array_equal(first, second)
    assert not table.state_dict()  # it can be computed: no part of a checkpoint


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_no_row_is_older_than_promised(encoder: TextEncoder, store: TokenStore, steps: int) -> None:
    table = VectorTable(encoder, store, False, np.zeros((len(store), encoder.dim), dtype=np.float16))
    for update in range(1, 4 * steps):
        change_weights(encoder)
        table.now = update
        table.refresh(steps)
        assert int((table.now - table.computed).max()) <= steps
    table.rows(np.array([0]))
    total, count = table.ages_read()
    assert count == 1
    assert 0 <= total <= steps
    assert table.ages_read() == (0, 0)


def test_rows_are_read_as_they_are_and_saved(encoder: TextEncoder, store: TokenStore) -> None:
    start = np.random.default_rng(0).random((len(store), encoder.dim)).astype(np.float16)
    seen, table = counted(encoder), VectorTable(encoder, store, False, start)
    table.now = 5
    assert np.array_equal(table.rows(np.array([1, 6])), start[store.row_of_text[[1, 6]]])
    assert not seen
    table.write(np.array([2]), torch.ones(1, encoder.dim))
    other = VectorTable(encoder, store, False, start)
    other.load_state_dict(table.state_dict())
    assert torch.equal(other.vectors, table.vectors)
    assert other.computed.tolist() == [0, 0, 5, 0, 0, 0]
    assert start[2].max() < 1  # the cache itself is not written to


def test_before_validation_every_old_row_is_computed_once(encoder: TextEncoder, store: TokenStore) -> None:
    table = VectorTable(encoder, store, False, np.zeros((len(store), encoder.dim), dtype=np.float16))
    table.now = 3
    table.compute(np.array([1, 2]))
    seen = counted(encoder)
    table.refresh_all()
    assert sum(seen) == len(store) - 2
    assert (table.computed == 3).all()
    table.refresh_all()
    assert sum(seen) == len(store) - 2


class Lockstep(Group):
    """A rank in lockstep with others, each in a thread of its own."""

    def __init__(self, rank: int, barrier: threading.Barrier, sent: list[torch.Tensor]) -> None:
        self.rank, self.size, self._barrier, self._sent = rank, len(sent), barrier, sent

    def gather(self, rows: torch.Tensor, what: str) -> torch.Tensor:
        """See Group."""
        self._sent[self.rank] = rows
        self._barrier.wait(30)
        found = torch.cat(self._sent)
        self._barrier.wait(30)
        return found


def test_of_what_two_ranks_have_written_the_newest_counts(encoder: TextEncoder, store: TokenStore) -> None:
    size, start = 2, np.zeros((len(store), encoder.dim), dtype=np.float16)
    barrier, sent = threading.Barrier(size), [torch.empty(0)] * size
    tables = [VectorTable(encoder, store, False, start) for _ in range(size)]
    for rank, table in enumerate(tables):
        table.group = Lockstep(rank, barrier, sent)
    # (rank, step, texts): text 1 is newer on rank 1, text 2 on rank 0, text 3 equally new.
    for rank, now, texts in ((0, 1, [0, 1, 3]), (1, 1, [2, 3]), (0, 2, [2]), (1, 2, [1])):
        tables[rank].now = now
        tables[rank].write(np.array(texts), torch.full((len(texts), encoder.dim), 10.0 * rank + now))
    with ThreadPoolExecutor(size) as pool:
        list(pool.map(lambda table: table.synchronize(), tables))
    for table in tables:
        assert table.vectors[:4, 0].tolist() == [1.0, 12.0, 2.0, 1.0]
        assert table.computed[:4].tolist() == [1, 2, 2, 1]
