"""`by:` of partition methods: which column decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from graphstorm_like.config.base import Name
from graphstorm_like.errors import did_you_mean

POSITION, ID = ALWAYS = "position", "id"
"""What every node type has: the order of its table, and ids."""


def _by_type(value: Any) -> Any:
    if not isinstance(value, str | dict) or not value:
        raise ValueError("must be a column, or a mapping of node types to columns")
    return value


By = Annotated[str | dict[Name, str], BeforeValidator(_by_type)]
"""A column for every node type that has it, or a column for each node type."""


def column_problem(by: str | Mapping[str, str], known: Mapping[str, Collection[str]]) -> str | None:
    """What is wrong with `by` for node types with these columns: a type lacks what is named for it, or no type has
    it."""
    if isinstance(by, str):
        every = dict.fromkeys(name for names in known.values() for name in names)
        return None if by in every else _one_of("by", by, every)
    for node_type, name in by.items():
        if node_type not in known:
            return _one_of("node types of 'by'", node_type, known)
        if name not in known[node_type]:
            return _one_of(f"by.{node_type}", name, known[node_type])
    return None


def _one_of(what: str, got: str, known: Collection[str]) -> str:
    return f"{what} must be one of {', '.join(known)} (got {got!r}).{did_you_mean(got, known)}"
