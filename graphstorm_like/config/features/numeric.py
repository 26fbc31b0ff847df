"""`encode: numeric`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.features.base import FeatureConfig


class NumericFeature(FeatureConfig):
    """A number, or a list of numbers of one length, per row."""

    encode: Literal["numeric"] = "numeric"
    column: str
    """The column that holds it."""
    normalize: Literal["standard", "min_max", "none"] = "standard"
    """standard: (x - mean) / std; min_max: to [0, 1]; statistics go into graph.json."""
    log1p: bool = False
    """Take log(1 + x) first, for long-tailed counts."""
    missing: Literal["error", "mean", "zero"] = "error"
    """What a null or NaN becomes."""
