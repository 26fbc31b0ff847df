"""Names a rank that holds up the others: its own part of a step takes long again and again.

Ranks wait for each other in every step, so that all steps take as long as the slowest rank's. What tells them apart is
the time until a rank is ready to sum: its batch, forward and backward. These times are compared seldom.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphstorm_like.ranks.group import Group

TOO_LONG = 1.5
"""Times the median of the other ranks."""
PATIENCE = 5
"""Comparisons in a row before a rank is named."""


class Stragglers:
    """All ranks call `compare` together; the first one says the line."""

    def __init__(self, group: Group, say: Callable[[str], None]) -> None:
        self._group, self._say = group, say
        self._seconds, self._steps = 0.0, 0
        self._late = np.zeros(group.size, dtype=int)
        """How many comparisons in a row each rank was late."""

    def add(self, seconds: float) -> None:
        """This rank's own part of a step."""
        self._seconds, self._steps = self._seconds + seconds, self._steps + 1

    def compare(self, what: str) -> None:
        """Compare the mean times since the last call. A rank is named once, and again only after it was in time."""
        if self._group.size == 1 or not self._steps:
            return
        own = np.zeros(self._group.size)
        own[self._group.rank] = self._seconds / self._steps
        means = self._group.total(own, what)
        self._seconds, self._steps = 0.0, 0
        others = np.array([np.median(np.delete(means, rank)) for rank in range(len(means))])
        self._late = np.where(means > TOO_LONG * others, self._late + 1, 0)
        for rank in np.flatnonzero(self._late == PATIENCE) if self._group.rank == 0 else ():
            host = int(rank) // self._group.local_size
            self._say(
                f"slow: rank {rank} on host {host} takes {means[rank]:.3f} s for its part of a step, the others "
                f"{others[rank]:.3f} s, and all wait for it (gsl doctor --hosts compares the machines)"
            )
