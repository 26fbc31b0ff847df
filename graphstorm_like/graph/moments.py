"""What a feature's numbers are shifted and divided by where they come from the graph as they are: means and deviations
of sampled rows, which say nothing of columns that hardly any row fills, or one number for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.features import made_by
from graphstorm_like.graph.schema import FeatureSchema

FloatArray = npt.NDArray[np.floating[Any]]
Moments = tuple[FloatArray, FloatArray]
"""(mean, deviation) [F]"""
FILLED = 0.01
"""Share of sampled rows with a number that is not 0 from which on a column's deviation is taken as it is."""


def magnitude_of(feature: FeatureSchema) -> float | None:
    """The root mean square of what is not 0 in a feature that the model divides by it, else None. Undivided, rows of
    length 1 with k entries learn sqrt(k) times as slowly as k standardised numbers: beside text vectors that took three
    times the epochs (docs/benchmarks/speed.md)."""
    return made_by(feature.fitted).magnitude(feature.fitted)


def magnitude_moments(feature: FeatureSchema) -> Moments | None:
    """(zeros, magnitude) of such a feature, else None."""
    magnitude = magnitude_of(feature)
    return None if magnitude is None else (np.zeros(feature.width), np.full(feature.width, magnitude))


def rare_moments(feature: FeatureSchema) -> Moments | None:
    """The same, and (zeros, ones) of other sparse features; None of those whose moments a sample of rows tells. Of
    16,384 terms most are in none of 8,192 rows, so that their deviation there would be 0."""
    found = magnitude_moments(feature)
    if found is None and feature.sparse:
        return np.zeros(feature.width), np.ones(feature.width)
    return found


def sampled_moments(rows: FloatArray) -> Moments:
    """Of sampled rows [n, F], all of one feature. Columns that hardly any of them fills, and constant ones, have at
    least a tenth of the mean deviation, or 1 where all numbers are equal: divided by less, one number that the sample
    lacks would outweigh all others."""
    rows = rows.astype(np.float64)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    varies = deviation > 1e-6 * np.abs(mean)
    is_told = varies & ((rows != 0).mean(axis=0) >= FILLED)
    floor = 0.1 * float(deviation[varies].sum()) / rows.shape[1]
    return mean, np.where(is_told, deviation, np.maximum(deviation, floor if floor > 0 else 1.0))
