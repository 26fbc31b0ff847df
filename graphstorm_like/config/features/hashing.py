"""`encode: hashing`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class HashingFeature(FeatureConfig):
    """Categories of a large vocabulary, as ones in columns that a hash picks. Nothing is fitted, and categories that
    are new later need no place of their own; several categories may share a column.

    The column holds strings, integers or booleans, or lists of them; null gives the zero vector.
    """

    encode: Literal["hashing"]
    column: str
    """The column that holds them."""
    separator: str | None = None
    """What divides the categories of a string."""
    buckets: PositiveInt = 256
    """Numbers per row."""
    hashes: Annotated[int, Field(ge=1, le=16)] = 1
    """Columns that each category gets: with 2 or more hardly any two categories have the same ones."""
    signed: bool = False
    """Half of the categories count -1, so that those that share a column cancel out on average."""
    salt: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the hash: another one lets other categories share a column."""
