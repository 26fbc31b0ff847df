"""`by:` of partition methods: which column decides."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from graphstorm_like.config.base import Name


def _by_type(value: Any) -> Any:
    if not isinstance(value, str | dict) or not value:
        raise ValueError("must be a column, or a mapping of node types to columns")
    return value


By = Annotated[str | dict[Name, str], BeforeValidator(_by_type)]
"""A column for every node type that has it, or a column for each node type."""
