"""Folds of a cross-validation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .pieces import cut, split, strings

TRAIN, VALID, TEST = 1, 2, 3


def folds(table: pa.Table, count: int, **more: object) -> np.ndarray:
    """(folds, rows)"""
    found = [split({"folds": count, "fold": fold, **more}, cut(table)) for fold in range(count)]
    return np.stack([splits for splits in found if splits is not None])


@pytest.mark.known_answer("splits/folds")
@settings(max_examples=25, deadline=None)
@given(st.integers(3, 8), st.integers(0, 60), st.booleans())
def test_every_row_is_tested_once_validated_once_and_trained_on_otherwise(
    count: int, rows: int, stratify: bool
) -> None:
    table = pa.table({"id": strings(range(rows)), "y": strings([i % 2 for i in range(rows)])})
    found = folds(table, count, stratify=stratify)
    assert (found > 0).all()
    assert (np.count_nonzero(found == TEST, axis=0) == 1).all()
    assert (np.count_nonzero(found == VALID, axis=0) == 1).all()
    assert ((found == TEST) == np.roll(found == VALID, 1, axis=0)).all()


def test_folds_are_of_equal_size() -> None:
    found = folds(pa.table({"id": strings(range(5000))}), 5)
    assert np.allclose(np.count_nonzero(found == TEST, axis=1), 1000, atol=80)


@pytest.mark.parametrize("count", [3, 7])
def test_stratified_folds_share_each_class_to_one_row(count: int) -> None:
    classes = [0] * 25 + [1] * 100
    found = folds(pa.table({"id": strings(range(125)), "y": strings(classes)}), count, stratify=True)
    for rows, size in ((slice(0, 25), 25), (slice(25, 125), 100)):
        sizes = np.count_nonzero(found[:, rows] == TEST, axis=1)
        assert (np.abs(sizes - size / count) < 1).all()


def test_groups_stay_together() -> None:
    groups = [i // 4 for i in range(200)]
    found = folds(pa.table({"id": strings(range(200)), "g": strings(groups)}), 4, group_by="g")
    for fold in found:
        assert len({(group, part) for group, part in zip(groups, fold.tolist(), strict=True)}) == 50
