"""rank_gauss and quantile."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .pieces import applied, assert_pieces_do_not_matter, config_of, fitted, numbers_of, refused

RANKS: dict[str, Any] = {"encode": "rank_gauss"}
SHARES: dict[str, Any] = {"encode": "quantile"}


def normal(share: float) -> float:
    return NormalDist().inv_cdf(share)


@pytest.mark.known_answer("features/rank_gauss")
def test_ranks_are_spread_like_a_normal_distribution() -> None:
    values = numbers_of(pa.array([30.0, 1e9, 10.0, 20.0]), **RANKS)
    assert values[:, 0] == pytest.approx([normal(s) for s in (5 / 8, 7 / 8, 1 / 8, 3 / 8)])
    many = numbers_of(pa.array(np.random.default_rng(0).lognormal(size=20_000)), **RANKS)
    assert many.mean() == pytest.approx(0, abs=0.01)
    assert many.std() == pytest.approx(1, abs=0.01)


def test_equal_numbers_have_one_rank_and_new_ones_lie_between() -> None:
    values, schema = fitted(pa.array([1, 2, 2, 5]), **RANKS)
    assert values[:, 0] == pytest.approx([normal(1 / 8), 0, 0, normal(7 / 8)])
    new = applied(schema, pa.array([2.0, 3.5, -100.0, 100.0]))
    assert new[:, 0] == pytest.approx([0, normal(7 / 8) / 2, normal(1 / 8), normal(7 / 8)])


def test_epsilon_cuts_the_ends() -> None:
    assert numbers_of(pa.array(np.arange(1000.0)), **RANKS, epsilon=0.01).max() == pytest.approx(normal(0.99))


@pytest.mark.known_answer("features/quantile")
def test_shares() -> None:
    values, schema = fitted(pa.array([3.0, 1.0, 2.0, 2.0, 9.0]), **SHARES)
    assert values[:, 0] == pytest.approx([0.75, 0, 0.375, 0.375, 1])
    assert applied(schema, pa.array([1.5, -1.0, 10.0]))[:, 0] == pytest.approx([0.1875, 0, 1])
    assert numbers_of(pa.array([4.0, 4.0]), **SHARES).tolist() == [[0.5], [0.5]]
    gauss = numbers_of(pa.array([1.0, 2.0, 3.0]), **SHARES, to="normal")
    assert gauss[:, 0] == pytest.approx([-5.199, 0, 5.199], abs=1e-3)


def test_few_knots_are_close() -> None:
    knots = 50
    numbers = np.random.default_rng(1).normal(size=5000)
    values, schema = fitted(pa.array(numbers), **SHARES, knots=knots)
    assert len(schema.fitted["values"]) == knots
    exact = np.argsort(np.argsort(numbers)) / 4999
    assert np.abs(values[:, 0] - exact).max() < 1 / (knots - 1)


def test_missing_numbers_stand_in_the_middle() -> None:
    column = pa.array([1.0, None, 3.0, float("nan")])
    assert numbers_of(column, **RANKS, missing="zero")[[1, 3], 0].tolist() == [0, 0]
    assert numbers_of(column, **SHARES, missing="median")[[1, 3], 0].tolist() == [0.5, 0.5]
    assert numbers_of(column, **SHARES, missing="median", to="normal")[1, 0] == 0
    _, schema = fitted(column, **SHARES, missing="median")
    assert applied(schema, pa.nulls(2)).tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize(("options", "policy"), [(RANKS, "zero"), (SHARES, "median")], ids=lambda option: str(option))
def test_what_cannot_be_ranked(options: dict[str, Any], policy: str) -> None:
    [message] = refused(pa.array([1.0, None]), **options)
    assert f"row 2: column 'x' must be a number (got null). Set features.f.missing: {policy}" in message
    [message] = refused(pa.array([float("inf")]), **options)
    assert "must be finite (got inf)" in message
    [message] = refused(pa.array([None, None], pa.float64()), **options, missing=policy)
    assert "must have at least one number to rank (got 2 rows without)" in message
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        config_of(**options, knots=1)


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), max_size=60),
    st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from([(RANKS, "zero"), (SHARES, "median")]),
    st.integers(2, 10),
)
@settings(max_examples=60, deadline=None)
def test_pieces_do_not_matter(
    numbers: list[float | None], cuts: list[int], kind: tuple[dict[str, Any], str], knots: int
) -> None:
    column = pa.array([0.5, *numbers], pa.float64())
    assert_pieces_do_not_matter(column, cuts, **kind[0], missing=kind[1], knots=knots)
