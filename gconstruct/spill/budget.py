"""How much memory construction may use, and who uses it."""

from __future__ import annotations


class Share:
    """A number of bytes that several users may take together; each says how much it takes now."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: dict[int, int] = {}

    def take(self, user: object, size: int) -> bool:
        """Whether all users stay within the limit when this one takes `size` bytes (in all)."""
        self._taken[id(user)] = size
        return sum(self._taken.values()) <= self.limit

    def free(self, user: object) -> None:
        """This one takes nothing any more."""
        self._taken.pop(id(user), None)
