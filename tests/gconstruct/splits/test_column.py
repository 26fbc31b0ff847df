"""Splits that a column names."""

from __future__ import annotations

import pytest

from .pieces import cut, split, strings
from .test_times import rows


@pytest.mark.known_answer("splits/column")
@pytest.mark.parametrize("cuts", [(), (1, 4)])
def test_names_of_splits(cuts: tuple[int, ...]) -> None:
    """Three ways to say validation; a null row is in no split."""
    named = ["train", "valid", "val", None, "test", "validation", "train"]
    found = split({"by": "column", "column": "t"}, cut(rows(strings(named)), cuts))
    assert found is not None
    assert found.tolist() == [1, 2, 2, 0, 3, 2, 1]
