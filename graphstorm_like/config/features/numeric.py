"""`encode: numeric`"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.features.base import FeatureConfig

Missing = Literal["error", "mean", "median", "most_frequent", "zero", "constant"]


class NumericFeature(FeatureConfig):
    """A number, or a list of numbers of one length, per row; or one number in each of several columns.

    Steps: clip, log1p, fill what is missing, normalize.
    """

    encode: Literal["numeric"] = "numeric"
    column: str | None = None
    """The column that holds it."""
    columns: Annotated[list[str], Field(min_length=1)] | None = None
    """Instead of `column`: several columns of numbers, each normalized by itself."""
    separator: str | None = None
    """What divides the numbers of a string, for vectors in CSV files."""
    dims: PositiveInt | None = None
    """Take only the first so many numbers of a list, e.g. of embeddings whose first numbers mean most."""
    clip: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None = None
    """[low, high]: numbers beyond are set to these first; null: no limit."""
    log1p: bool = False
    """Take log(1 + x), for long-tailed counts."""
    normalize: Literal["standard", "min_max", "robust", "none"] = "standard"
    """standard: (x - mean) / std; min_max: to [0, 1]; robust: (x - median) / (third quartile - first quartile), which a
    few outliers do not change. Statistics of all rows go into graph.json."""
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """[min, max] for normalize: min_max, instead of the column's own (after log1p)."""
    missing: Missing = "error"
    """What a null or NaN becomes. Of the column, after clip and log1p: its mean, its median or its most frequent number
    (the smallest of several); constant: `fill`."""
    fill: float | None = None
    """The number that stands for missing ones."""
    indicator: bool = False
    """Add a number per column: 1 where it is missing, else 0 (for a list: where any of it is)."""

    @model_validator(mode="before")
    @classmethod
    def _fill_is_a_constant(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("fill") is not None and "missing" not in data:
            return {**data, "missing": "constant"}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> NumericFeature:
        if (self.column is None) == (self.columns is None):
            raise ValueError("must have either 'column' or 'columns'")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise KeyedError("columns", "must name each column once")
        for key in ("separator", "dims"):
            if getattr(self, key) is not None and self.columns is not None:
                raise KeyedError(key, "must be left out with 'columns': each of them holds one number")
        if self.separator == "":
            raise KeyedError("separator", "must be at least one character")
        self._check_limits()
        if (self.missing == "constant") != (self.fill is not None):
            raise KeyedError("fill", "must be given with missing: constant, and only then")
        low = self.clip[0] if self.clip else None
        if self.log1p and min(self.fill or 0.0, 0.0) < 0 and (low is None or low < 0):
            raise KeyedError("fill", f"must be zero or more for log1p (got {self.fill:g})")
        if self.indicator and self.missing == "error":
            raise KeyedError("indicator", "must come with a way to fill what is missing, e.g. missing: mean")
        return self

    def _check_limits(self) -> None:
        low, high = self.clip or (None, None)
        if low is not None and high is not None and low >= high:
            raise KeyedError("clip", f"must be [low, high] with low < high (got {low:g}, {high:g})")
        if self.range is None:
            return
        if self.normalize != "min_max":
            raise KeyedError("range", f"must come with normalize: min_max (got {self.normalize})")
        if self.range[0] >= self.range[1]:
            raise KeyedError("range", f"must be [min, max] with min < max (got {self.range[0]:g}, {self.range[1]:g})")
