"""`type: exact`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.search.base import SearchConfig


class ExactSearchConfig(SearchConfig):
    """Every vector is compared with every query, block by block. Needs no other package; right up to some million
    pairs of a query and a vector a millisecond."""

    type: Literal["exact"]
    is_exact: ClassVar[bool] = True
