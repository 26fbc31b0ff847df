"""Statistics without the digits that the order of a sum decides.

A sum of floats in another order differs in its last digits, and so would graph.json between engines. The sum's error is
relative to the largest number, not to the sum itself (which may cancel out), so digits are counted from there.
"""

from __future__ import annotations

import numpy as np

DIGITS = 12
"""A sum of 1e9 numbers is off by less than 1e-13 of the largest when it is summed in blocks."""


def rounded(statistic: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Statistics (n) to 12 significant digits of the largest absolute numbers that they are of (n)."""
    size = np.asarray(largest, np.float64)
    exponents = np.floor(np.log10(np.where(size > 0, size, 1.0)))
    # Dividing by a power of ten gives the nearest float to the decimal number; multiplying by a negative one does not.
    out = [_to_digits(float(value), int(e)) for value, e in zip(statistic, exponents, strict=True)]
    return np.array(out, np.float64)


def _to_digits(value: float, exponent: int) -> float:
    return round(value, DIGITS - 1 - exponent) + 0.0
