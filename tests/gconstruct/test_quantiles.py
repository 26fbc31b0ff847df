"""Distributions in bounded memory: exact while they are small, never dependent on the order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.quantiles import LIMIT, Distribution, limit_for
from gconstruct.rounding import rounded

finite = st.floats(allow_nan=False, allow_infinity=False)
SHARES = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.99, 1.0])


def same(one: Distribution, other: Distribution) -> bool:
    arrays = np.array_equal(one.values, other.values) and np.array_equal(one.counts, other.counts)
    return arrays and (one.largest, one.dropped) == (other.largest, other.dropped)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_quantiles_are_those_of_numpy(numbers: list[float]) -> None:
    np.testing.assert_array_equal(Distribution.of(np.array(numbers)).quantiles(SHARES), np.quantile(numbers, SHARES))


@given(st.lists(finite, max_size=60), st.integers(2, 20), st.lists(st.integers(0, 60), max_size=5), st.randoms())
@settings(max_examples=200, deadline=None)
def test_neither_order_nor_pieces_matter(numbers: list[float], limit: int, cuts: list[int], random: object) -> None:
    """Also where entries are shared, to the last bit."""
    values = np.array(numbers, np.float64)
    whole = Distribution.of(values, limit)
    bounds = sorted({0, len(values), *(cut % (len(values) + 1) for cut in cuts)})
    pieces = [Distribution.of(values[low:high], limit) for low, high in itertools.pairwise(bounds)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    merged = Distribution.of(np.empty(0), limit)
    for piece in pieces:
        merged = piece.merged(merged)
    assert same(whole, merged)
    assert len(whole) == len(numbers)
    assert len(whole.values) <= limit


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=200), st.integers(40, 60))
@settings(max_examples=60, deadline=None)
def test_the_error_is_as_promised(numbers: list[float], limit: int) -> None:
    distribution, ordered = Distribution.of(np.array(numbers), limit), np.sort(numbers)
    entries = np.repeat(distribution.values, distribution.counts)
    assert np.all(entries <= ordered)
    assert np.all(ordered - entries <= distribution.error * ordered)


def test_a_large_column() -> None:
    numbers = np.random.default_rng(0).lognormal(size=500_000)
    distribution = Distribution.of(numbers)
    assert len(distribution.values) <= LIMIT
    assert 0 < distribution.error <= 2.0**-13
    np.testing.assert_allclose(
        distribution.quantiles(SHARES), np.quantile(numbers, SHARES), rtol=2 * distribution.error
    )
    assert distribution.quantiles(np.array([1.0]))[0] == numbers.max()
    halves = Distribution.of(numbers[:200_000]).merged(Distribution.of(numbers[200_000:]))
    assert same(distribution, halves)


def test_positions_and_the_most_frequent() -> None:
    distribution = Distribution.of(np.array([5.0, -0.0, 0.0, 7.0, 5.0]))
    assert distribution.values.tolist() == [0.0, 5.0, 7.0]
    assert distribution.positions().tolist() == [0.5, 2.5, 4.0]
    assert distribution.most_frequent() == 0.0


def test_knots_hold_equal_shares() -> None:
    distribution = Distribution.of(np.concatenate([np.arange(100.0), np.full(900, 50.0)]))
    knots = distribution.values[distribution.knots(11)]
    assert {0.0, 50.0, 99.0} <= set(knots.tolist())
    assert len(knots) <= 11
    assert distribution.knots(1000).tolist() == list(range(100))


def test_limits_of_several_distributions() -> None:
    assert (limit_for(1), limit_for(10), limit_for(768)) == (100_000, 10_000, 1000)


def test_statistics_are_rounded_from_the_largest_number() -> None:
    assert rounded(np.array([0.1 + 0.2, 1 / 3]), np.array([1.0, 1.0])).tolist() == [0.3, 0.33333333333]
    assert rounded(np.array([-5.5e-17]), np.array([0.3])).tolist() == [0.0]
    assert rounded(np.array([123456789.123456789]), np.array([2e8])).tolist() == [123456789.123]
    assert rounded(np.array([1e300 / 3]), np.array([1e300])).tolist() == [pytest.approx(1e300 / 3, rel=1e-10)]
    assert rounded(np.array([0.0]), np.array([0.0])).tolist() == [0.0]
