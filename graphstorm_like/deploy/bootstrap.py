"""Samples of test rows with replacement, and the bounds of what was measured on them: the model card's intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from graphstorm_like.graph.store import IntArray

SAMPLES, SEED = 300, 20_261_126
"""How many samples are drawn, and from which seed."""
MAX_ROWS = 200_000
"""Of more test rows, evenly spaced ones are taken."""


def samples(counts: Sequence[int]) -> Iterator[list[IntArray]]:
    """SAMPLES times: of each part with so many rows, as many row numbers, drawn with replacement."""
    rng = np.random.default_rng(SEED)
    for _ in range(SAMPLES):
        yield [rng.integers(count, size=count) for count in counts]


def bounds(measured: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """The middle 95 % of each metric's values."""
    ends = {name: np.nanpercentile(values, [2.5, 97.5]) for name, values in measured.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}
