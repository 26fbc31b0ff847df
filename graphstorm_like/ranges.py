"""Rows of many numbers each, one after another in one array."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def ranges(starts: Numbers, sizes: Numbers) -> tuple[Numbers, Numbers]:
    """starts[i] .. starts[i] + sizes[i] - 1 of every i, one after another, and where each range begins [n + 1]."""
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return np.arange(offsets[-1], dtype=np.int64) + np.repeat(starts - offsets[:-1], sizes), offsets
