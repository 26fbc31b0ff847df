"""The simple models that the Debian results stand beside."""

from __future__ import annotations

import pytest


def test_filtered_rank_of_the_baselines() -> None:
    pytest.importorskip("sklearn")
    import numpy as np
    from debian_baselines import filtered_rank

    line = np.array([0.9, 0.5, 0.8, 0.5, 0.1])
    assert filtered_rank(line, 1, np.array([1])) == 3.5  # below two, tied with one
    assert filtered_rank(line, 1, np.array([0, 1, 3])) == 2
    assert filtered_rank(line, 0, np.array([4])) == 1
