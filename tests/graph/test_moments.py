"""Deviations of sampled rows, of which rare columns have none."""

from __future__ import annotations

import numpy as np
import pytest

from graphstorm_like.graph.moments import magnitude_moments, rare_moments, sampled_moments
from graphstorm_like.graph.schema import FeatureSchema


def test_rare_and_constant_columns_have_a_floor() -> None:
    rows = np.zeros((1000, 4), np.float32)
    rows[::2, 0] = 4.0  # deviation 2
    rows[5, 1] = 1e-3  # one row: as good as none
    rows[:, 2] = 7.0
    mean, deviation = sampled_moments(rows)
    np.testing.assert_allclose(mean, [2.0, 1e-6, 7.0, 0.0])
    np.testing.assert_allclose(deviation, [2.0, 0.05, 0.05, 0.05], rtol=1e-4)
    np.testing.assert_array_equal(sampled_moments(rows[:, 2:])[1], [1.0, 1.0])


def test_filled_columns_of_very_different_sizes_keep_their_own() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 2)) * [1e6, 1e-2]
    np.testing.assert_array_equal(sampled_moments(rows)[1], rows.std(axis=0))


def test_what_no_sample_is_asked_for() -> None:
    words = FeatureSchema(width=2, fitted={"encode": "words", "texts": 4, "rows_of_terms": [9, 7]})
    for found in (magnitude_moments(words), rare_moments(words)):
        assert found is not None
        np.testing.assert_array_equal(found, [[0.0, 0.0], [0.5, 0.5]])
    categories = FeatureSchema(width=2, sparse=True)
    assert magnitude_moments(categories) is None
    np.testing.assert_array_equal(rare_moments(categories) or (), [[0.0, 0.0], [1.0, 1.0]])
    assert rare_moments(FeatureSchema(width=2)) is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_sums_do_not_overflow(dtype: type[np.floating]) -> None:
    rows = np.array([[60000.0], [30000.0]] * 50, dtype=dtype)
    np.testing.assert_allclose(sampled_moments(rows)[1], [15000.0], rtol=1e-3)
