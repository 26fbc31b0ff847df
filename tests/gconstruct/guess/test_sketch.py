"""Bounded sets of hashes against sets of values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gconstruct.guess.sketch import Sketch
from gconstruct.hashing import hash_strings


def sketch_of(values: list[int] | np.ndarray, limit: int = 1000) -> Sketch:
    sketch = Sketch(limit)
    for piece in np.array_split(np.asarray(values, np.int64), 3):
        sketch.add(hash_strings(pa.array(piece).cast(pa.large_string())))
    return sketch


numbers = st.lists(st.integers(0, 50), max_size=80)


@given(numbers, numbers)
def test_exact_sets(one: list[int], other: list[int]) -> None:
    first, second = sketch_of(one), sketch_of(other)
    assert first.exact
    assert first.distinct == len(set(one))
    assert first.unique == (len(set(one)) == len(one) > 0)
    expected = len(set(one) & set(other)) / len(set(one)) if one else 0.0
    assert first.share_in(second) == pytest.approx(expected)


def test_a_small_limit_keeps_a_sample_of_the_same_values() -> None:
    every, even = sketch_of(np.arange(20_000), 500), sketch_of(np.arange(0, 20_000, 2), 500)
    assert not every.exact
    assert len(every.hashes) <= 500
    assert every.distinct == pytest.approx(20_000, rel=0.2)
    assert every.unique
    assert even.share_in(every) == 1.0
    assert every.share_in(even) == pytest.approx(0.5, abs=0.1)
    small = sketch_of([0, 2, 4], 500)
    assert small.share_in(every) in (0.0, 1.0)


def test_repeated_values_are_seen_in_a_sample() -> None:
    values = np.concatenate([np.arange(20_000), np.arange(20_000)])
    assert not sketch_of(values, 500).unique


def test_integers_and_their_text_are_the_same() -> None:
    text = Sketch()
    text.add(hash_strings(pa.array(["1", "2"])))
    assert text.share_in(sketch_of([1, 2, 3])) == 1.0
