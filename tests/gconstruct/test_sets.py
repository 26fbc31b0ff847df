"""Sets of numbers give what numpy's give."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gconstruct.sets import contained, contained_sorted, distinct, occurring

numbers = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5)).map(lambda values: np.array(values, np.uint64))


@given(numbers, numbers)
def test_as_numpy(values: np.ndarray, among: np.ndarray) -> None:
    np.testing.assert_array_equal(distinct(values), np.unique(values))
    np.testing.assert_array_equal(contained(values, among), np.isin(values, among))
    ordered = np.unique(among)
    np.testing.assert_array_equal(contained_sorted(values, ordered), np.isin(values, among))
    np.testing.assert_array_equal(occurring(ordered, values), np.isin(ordered, values))
