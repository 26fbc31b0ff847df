"""What every kind of search has in its configuration."""

from __future__ import annotations

from typing import ClassVar

from graphstorm_like.config.choice import Choice


class SearchConfig(Choice, tag="type", default="exact"):
    """How the vectors with the largest inner products are found."""

    type: str
    is_exact: ClassVar[bool] = False
    """Whether every vector is compared, so that nothing can be missed."""
