"""A slow rank is named once, when it was slow for long; a slow step, and one process alone, are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.training.stragglers import PATIENCE, Stragglers


class Four(Group):
    """Rank 0 of four on two hosts; the others' times are given."""

    rank, size, local_size = 0, 4, 2

    def __init__(self) -> None:
        self.others: Sequence[float] = (0.1, 0.1, 0.1)

    def total(self, values: npt.NDArray[np.float64], what: str) -> npt.NDArray[np.float64]:
        return values + np.array([0.0, *self.others])


def said_after(windows: Sequence[Sequence[float]]) -> list[str]:
    group, lines = Four(), list[str]()
    stragglers = Stragglers(group, lines.append)
    for others in windows:
        group.others = others
        for seconds in (0.05, 0.15):
            stragglers.add(seconds)
        stragglers.compare("a test")
    return lines


SLOW, EVEN = (0.1, 0.1, 0.16), (0.1, 0.1, 0.14)


@pytest.mark.parametrize(
    ("windows", "count"),
    [
        ([SLOW] * (PATIENCE - 1), 0),
        ([EVEN] * 20, 0),
        ([SLOW] * 20, 1),
        (([SLOW] * (PATIENCE - 1) + [EVEN]) * 4, 0),
        (([SLOW] * PATIENCE + [EVEN]) * 2, 2),
    ],
)
def test_slow_for_long(windows: Sequence[Sequence[float]], count: int) -> None:
    lines = said_after(windows)
    assert len(lines) == count
    assert all(line.startswith("slow: rank 3 on host 1 takes 0.160 s") and "0.100 s" in line for line in lines)


def test_alone() -> None:
    stragglers = Stragglers(SINGLE_PROCESS, pytest.fail)
    stragglers.add(1.0)
    stragglers.compare("a test")
