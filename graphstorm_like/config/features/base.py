"""What every feature has in its configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts
from graphstorm_like.config.choice import Choice


class FeatureConfig(Choice, tag="encode", default="numeric"):
    """Columns of a table -> numbers for each row. Without `encode` the column holds a number or a list of numbers."""

    encode: str

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """How it is stored and sent. float16 and bfloat16 take half the space: float16 keeps 3 digits of numbers up to
    65,504, bfloat16 2 digits of any number."""


def _column_alone(value: Any) -> Any:
    if isinstance(value, str):
        return {"encode": "numeric", "column": value}
    if not isinstance(value, dict | FeatureConfig):
        raise ValueError("must be a column's name, or a mapping with the key 'column'")
    return value


FeatureField = Annotated[FeatureConfig, BeforeValidator(_column_alone), Accepts("string")]
"""Just the name of a column stands for a numeric feature."""
