"""Ids come back as they were; rows come back exactly, or within the error that their type has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from graphstorm_like.graph.partition_reader import SHARED
from graphstorm_like.graph.remote.encoding import (
    hop_arrays,
    hops_of,
    may_lose,
    narrow,
    row_arrays,
    rows_of,
    wide,
)
from graphstorm_like.graph.store import Hop

SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 9))
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.integers(-1, 2**62), max_size=5))
def test_ids_come_back(numbers: list[int]) -> None:
    ids = np.array(numbers, dtype=np.int64)
    assert wide(narrow(ids)).dtype == np.int64
    assert wide(narrow(ids)).tolist() == numbers


@pytest.mark.parametrize(("most", "size"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32 - 1, 4), (2**32, 8)])
def test_ids_take_as_few_bytes_as_they_need(most: int, size: int) -> None:
    assert narrow(np.array([0, most])).itemsize == size


def test_hops_come_back() -> None:
    hop = Hop(np.array([1, 4]), np.array([0, 2, 3]), np.array([70_000, 5, 2**40]), np.array([0, 1, 9]))
    one = Hop(np.array([0]), np.array([0, 1]), np.array([3]), np.array([300]))
    hops = [hop, Hop.empty(), one]
    arrays = hop_arrays(hops)
    assert [a.itemsize for a in arrays] == [1, 1, 1, 8, 2]
    for back, sent in zip(hops_of(arrays), hops, strict=True):
        for name in ("rows", "offsets", "sources", "edge_ids"):
            assert getattr(back, name).dtype == np.int64
            assert getattr(back, name).tolist() == getattr(sent, name).tolist()


@given(some.arrays(np.float32, SHAPES))
def test_exact_rows_are_the_same_bits(rows: Any) -> None:
    back = rows_of(row_arrays(rows, "float32"))
    assert back.tobytes() == rows.tobytes()


@given(some.arrays(np.float32, SHAPES, elements=FINITE))
def test_half_rows_are_rounded_to_eleven_bits_and_cut_at_their_range(rows: Any) -> None:
    back = rows_of(row_arrays(rows, "float16"))
    cut = np.clip(rows, -65_504, 65_504)
    assert back.dtype == np.float32
    assert (np.abs(back - cut) <= np.abs(cut) * 2.0**-11 + 2.0**-25).all()


@given(some.arrays(np.float32, SHAPES, elements=FINITE))
def test_quarter_rows_are_within_half_a_step_of_their_largest_number(rows: Any) -> None:
    back = rows_of(row_arrays(rows, "int8"))
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    assert back.dtype == np.float32
    assert (np.abs(back - rows) <= largest * (0.5 / 127) * (1 + 1e-5) + 1e-30).all()


def test_counts_and_flags_lose_nothing() -> None:
    flags = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [-1, 0, 1, 1]], dtype=np.float32)
    for wire in ("float16", "int8"):
        assert rows_of(row_arrays(flags, wire)).tobytes() == flags.tobytes()


def test_rows_with_numbers_that_are_not_finite_stay_so() -> None:
    rows = np.array([[np.inf, 1], [np.nan, 2], [3, 4]], dtype=np.float32)
    back = rows_of(row_arrays(rows, "int8"))
    assert np.isnan(back[:2]).all()
    np.testing.assert_allclose(back[2], [3, 4], rtol=0.01)


@pytest.mark.parametrize("rows", [np.arange(4), np.arange(3.0), np.ones((2, 3), np.uint8), np.ones((2, 3), np.float16)])
def test_what_would_not_get_smaller_is_left_alone(rows: Any) -> None:
    assert row_arrays(rows, "float16") == [rows]


def test_only_inputs_that_never_change_may_lose() -> None:
    assert may_lose(("item", "feature:size"))
    assert may_lose(("item", SHARED + "vectors:title:0"))
    for name in ("label:kind", "label_split:kind", "id", "source", SHARED + "rows:0", SHARED + "aging:0", "degrees"):
        assert not may_lose(("item", name))
