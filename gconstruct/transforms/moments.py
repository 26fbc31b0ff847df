"""Mean, standard deviation and limits of columns of numbers, of which pieces can be merged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gconstruct.rounding import rounded


@dataclass(frozen=True, slots=True)
class Moments:
    """Statistics of the numbers that are not missing: arrays (width)."""

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    """Sum of squared distances from the mean"""
    low: np.ndarray
    """Infinite when there are no numbers, like `high`"""
    high: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray], width: int) -> Moments:
        """Of float64 blocks (some rows, width), NaN where a number is missing."""
        zeros = np.zeros(width)
        moments = cls(zeros, zeros, zeros, np.full(width, np.inf), np.full(width, -np.inf))
        for block in blocks:
            moments = moments.merged(cls._of_block(block))
        return moments

    @classmethod
    def _of_block(cls, block: np.ndarray) -> Moments:
        """Two passes: the squared distances need the mean of all rows."""
        count = np.count_nonzero(~np.isnan(block), axis=0).astype(np.float64)
        mean = np.where(count > 0, np.nansum(block, axis=0) / np.maximum(count, 1), 0.0)
        squares = np.nansum((block - mean) ** 2, axis=0)
        low, high = np.fmin.reduce(block, axis=0, initial=np.inf), np.fmax.reduce(block, axis=0, initial=-np.inf)
        return cls(count, mean, squares, low, high)

    def merged(self, other: Moments) -> Moments:
        """Of the numbers of both. Chan, Golub & LeVeque 1983, eq. 2.1:
        https://doi.org/10.1080/00031305.1983.10483115"""
        count = self.count + other.count
        distance = other.mean - self.mean
        share = other.count / np.maximum(count, 1)
        return Moments(
            count,
            self.mean + distance * share,
            self.squares + other.squares + distance**2 * self.count * share,
            np.fmin(self.low, other.low),
            np.fmax(self.high, other.high),
        )

    def fitted(self) -> dict[str, np.ndarray]:
        """mean, std (of the population), min and max; 0 without numbers. Sums are rounded."""
        has_numbers = self.count > 0
        low, high = np.where(has_numbers, self.low, 0.0), np.where(has_numbers, self.high, 0.0)
        largest = np.maximum(np.abs(low), np.abs(high))
        # min == max is exact; a rounded mean leaves a constant column a std of 1e-17, and z-scores that are noise.
        constant = low == high
        std = rounded(np.sqrt(self.squares / np.maximum(self.count, 1)), largest)
        mean = np.where(constant, low, rounded(self.mean, largest))
        return {"mean": mean, "std": np.where(constant, 0.0, std), "min": low, "max": high}
