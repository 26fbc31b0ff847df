"""bfloat16 in numpy and Arrow, which lack the type: its 16 bits (the upper half of a float32) are stored as uint16."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def to_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """bfloat16 bits of finite float32 numbers, rounded to nearest, ties to even. Above 3.39e38 they become infinite."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded: npt.NDArray[np.uint16] = ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)
    return rounded


def from_bits(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The float32 numbers that these bits stand for, exactly."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
