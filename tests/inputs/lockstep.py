"""Ranks of a group as threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from graphstorm_like.ranks.group import Group

T = TypeVar("T")


class Lockstep(Group):
    """A rank in lockstep with others, each in a thread of its own."""

    def __init__(self, rank: int, hosts: int, trainers: int, meeting: threading.Barrier, sent: list[Any]) -> None:
        self.rank, self.size, self._meeting, self._sent = rank, hosts * trainers, meeting, sent
        self.host, self.hosts = rank // trainers, hosts
        self.local_rank, self.local_size = rank % trainers, trainers

    def _all(self, mine: Any) -> list[Any]:
        self._sent[self.rank] = mine
        self._meeting.wait(30)
        found = list(self._sent)
        self._meeting.wait(30)
        return found

    def barrier(self, what: str) -> None:
        """See Group."""
        self._all(None)

    def collect(self, text: str, what: str) -> list[str]:
        """See Group."""
        return self._all(text)

    def exchange(self, rows: torch.Tensor, sizes: Sequence[int], what: str) -> torch.Tensor:
        """See Group."""
        parts = self._all(torch.split(rows, list(sizes)))
        return torch.cat([of_rank[self.rank] for of_rank in parts])


def lockstep(hosts: int, trainers: int, work: Callable[[Lockstep], T]) -> list[T]:
    """What every rank's work gives."""
    size = hosts * trainers
    meeting, sent = threading.Barrier(size), [None] * size

    def one(rank: int) -> T:
        try:
            return work(Lockstep(rank, hosts, trainers, meeting, sent))
        except BaseException:
            meeting.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(one, rank) for rank in range(size)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:  # not that of one who only waited
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return [future.result() for future in futures]
