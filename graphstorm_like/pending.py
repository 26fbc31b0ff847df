"""What was asked for and is not waited for yet, so that several answers are on their way at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Answer_co = TypeVar("Answer_co", covariant=True)
Changed = TypeVar("Changed")
Key = TypeVar("Key")


class Pending(Generic[Answer_co]):
    """An answer that is on its way. receive: waits for it, or raises what went wrong."""

    def __init__(self, receive: Callable[[], Answer_co]) -> None:
        self._receive = receive

    def wait(self) -> Answer_co:
        """The answer, when it is there. Of an answer that failed, the same error again."""
        return self._receive()

    def then(self, change: Callable[[Answer_co], Changed]) -> Pending[Changed]:
        """The answer, changed after it has arrived."""
        return Pending(lambda: change(self._receive()))


def wait_for_all(pending: Mapping[Key, Pending[Changed]]) -> dict[Key, Changed]:
    """The answers, in the order in which they were asked for."""
    return {key: each.wait() for key, each in pending.items()}
