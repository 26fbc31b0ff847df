"""Random partitions are even."""

from __future__ import annotations

import numpy as np
import pytest

from gconstruct.partitioners.random import at_random


@pytest.mark.known_answer("partitioners/random")
def test_random_is_balanced_and_drawn_from_the_seed() -> None:
    counts = {"a": 1000, "b": 7, "c": 1, "d": 0}
    made = at_random(counts, 3, 5)
    for name, parts in made.items():
        sizes = np.bincount(parts, minlength=3)
        assert (len(parts), sizes.max() - sizes.min() <= 1) == (counts[name], True)
        assert parts.tolist() == at_random(counts, 3, 5)[name].tolist()
    assert made["a"].tolist() != at_random(counts, 3, 6)["a"].tolist()
    assert made["a"].tolist() != sorted(made["a"].tolist())
    # The one node of a small type is not always in the first partition.
    assert {int(at_random({"c": 1}, 3, seed)["c"][0]) for seed in range(20)} == {0, 1, 2}
