"""Repeated edges, against a set of Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gconstruct.spill.repeated_edges import RepeatedEdges


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_all_but_the_first_of_equal_edges_are_found(memory: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen = RepeatedEdges(tmp_path / "edges", memory)
    known: set[tuple[int, int]] = set()
    expected = []
    for size in (0, 100, 1, 400):
        source, target = rng.integers(0, 12, size), rng.integers(0, 20, size)
        seen.add(source, target)
        again = []
        for edge in zip(source.tolist(), target.tolist(), strict=True):
            again.append(edge in known)
            known.add(edge)
        expected.append(again)
    assert [mask.tolist() for mask in seen.masks()] == expected
    seen.delete()
    assert not list(tmp_path.iterdir())


def test_an_edge_and_its_reverse_are_different(tmp_path: Path) -> None:
    seen = RepeatedEdges(tmp_path / "edges", 0)
    seen.add(np.array([1, 2]), np.array([2, 1]))
    assert [mask.tolist() for mask in seen.masks()] == [[False, False]]
