"""A column of an edge table that names the relation of each row: one entry of `edges` is several edge types.

The entry is the first of them; entries for the others follow at the end of `edges`, alike in all but the relation, so
that whatever reads the configuration sees one edge type an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphstorm_like.config.graph import EdgeConfig


def relations_of(value: Any) -> Any:
    """A list of names stands for values that are the relations' names."""
    return {name: name for name in value} if isinstance(value, list) and all(map(_is_text, value)) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def first_relation(entry: Any) -> Any:
    """The entry with the relation of its first edge type, where it has only a column."""
    if not isinstance(entry, dict) or "relation" in entry or "relation_column" not in entry:
        return entry
    relations = relations_of(entry.get("relations"))
    if not isinstance(relations, dict) or not relations:
        return entry
    return {**entry, "relation": next(iter(relations.values()))}


def expanded(edges: Sequence[EdgeConfig]) -> list[EdgeConfig]:
    """All edge types; the same again for what is expanded already."""
    out = list(edges)
    for edge in edges:
        for relation in dict.fromkeys(edge.relations.values()):
            sibling = edge.model_copy(update={"relation": relation})
            if sibling not in out:
                out.append(sibling)
    return out


def entry_of(edges: Sequence[EdgeConfig], index: int) -> int:
    """The index of the entry that an edge type comes from."""
    edge = edges[index]
    if not edge.relations:
        return index
    siblings = [edge.model_copy(update={"relation": relation}) for relation in edge.relations.values()]
    return next(i for i, other in enumerate(edges) if other in siblings)
