"""Random splits: stratified ones. Those without classes: test_labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .pieces import cut, split, strings

SHARES = {"train": 0.7, "valid": 0.2, "test": 0.1}
STRATIFIED = {"by": "random", **SHARES, "stratify": True}


def table(classes: list[str | None]) -> pa.Table:
    return pa.table({"id": strings(range(len(classes))), "y": strings(classes)})


@pytest.mark.known_answer("splits/random")
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=80),
    st.lists(st.integers(0, 80), max_size=3),
    st.integers(0, 5),
)
def test_each_class_gets_its_shares_to_one_row_in_any_pieces(
    classes: list[str | None], cuts: list[int], seed: int
) -> None:
    config = {**STRATIFIED, "seed": seed}
    found = split(config, cut(table(classes)))
    assert found is not None
    assert found.tolist() == split(config, cut(table(classes), cuts)).tolist()
    sizes, counts = Counter(classes), Counter(zip(classes, found.tolist(), strict=True))
    for name in {*classes} - {None}:
        for number, share in enumerate(SHARES.values(), 1):
            assert abs(counts[name, number] - share * sizes[name]) < 1
        assert not counts[name, 0]
    assert counts[None, 0] == sizes[None]


@settings(max_examples=20, deadline=None)
@given(st.permutations(list(range(40))))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    rows = table([f"c{i % 3}" for i in range(40)])
    whole, shuffled = split(STRATIFIED, cut(rows)), split(STRATIFIED, cut(rows.take(pa.array(order))))
    assert whole is not None
    assert shuffled is not None
    assert whole[order].tolist() == shuffled.tolist()


def test_many_small_classes_fill_every_split() -> None:
    """To the nearest row each of these classes would have one row for validation and none for the test."""
    found = split(STRATIFIED, cut(table([f"c{i % 500}" for i in range(1500)])))
    assert found is not None
    assert np.allclose(np.bincount(found, minlength=4) / 1500, [0, 0.7, 0.2, 0.1], atol=0.02)


def test_a_share_that_is_left_over_is_in_no_split() -> None:
    config = {"train": 0.5, "valid": 0.2, "test": 0.1, "stratify": True}
    found = split(config, cut(table(["a"] * 50 + ["b"] * 100)))
    assert found is not None
    for rows in (slice(0, 50), slice(50, 150)):
        assert (np.bincount(found[rows], minlength=4) * 10 / len(found[rows])).tolist() == [2, 5, 2, 1]


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_a_stratified_draw_are_drawn_not_taken_in_order(seed: int) -> None:
    found = split({**STRATIFIED, "seed": seed}, cut(table(["a"] * 100)))
    assert found is not None
    assert 50 < np.count_nonzero(found[:85] == 1) < 70
