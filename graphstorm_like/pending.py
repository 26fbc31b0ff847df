"""Answers that were requested and not yet received, so that several requests can be in flight together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Answer_co = TypeVar("Answer_co", covariant=True)
Changed = TypeVar("Changed")
Key = TypeVar("Key")


class Pending(Generic[Answer_co]):
    """A requested answer. receive: waits for it, or raises what went wrong."""

    def __init__(self, receive: Callable[[], Answer_co]) -> None:
        self._receive = receive

    def wait(self) -> Answer_co:
        """Wait for the answer. A failed request raises the same error at every call."""
        return self._receive()

    def then(self, change: Callable[[Answer_co], Changed]) -> Pending[Changed]:
        """The answer after `change`."""
        return Pending(lambda: change(self._receive()))


def wait_for_all(pending: Mapping[Key, Pending[Changed]]) -> dict[Key, Changed]:
    """All answers, in the order of the requests."""
    return {key: answer.wait() for key, answer in pending.items()}
