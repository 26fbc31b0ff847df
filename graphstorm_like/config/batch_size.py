"""How many rows make a step."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt

BatchSize = PositiveInt | Literal["auto"]
LEAST_ROWS, MOST_ROWS, STEPS = 32, 1024, 20
"""Of `train.batch_size: auto`: rows a step, at least and at most, and steps an epoch."""


def rows_a_step(batch_size: BatchSize, rows: int) -> int:
    """`train.batch_size`, or what auto is with so many training rows."""
    if batch_size != "auto":
        return batch_size
    size = LEAST_ROWS
    while size < MOST_ROWS and size * 2 * STEPS <= rows:
        size *= 2
    return size
