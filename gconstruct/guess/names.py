"""Names of tables and columns as words: 'OrderItems.user_id' -> order, item; user, id."""

from __future__ import annotations

import re

ID_WORDS = frozenset(
    {"id", "ids", "uuid", "guid", "key", "code", "sku", "identifier", "number", "no", "pk", "fk", "ref"}
)
"""Words that say 'this names something' and not what."""
SOURCE_WORDS = frozenset({"source", "src", "from", "head", "start", "subject", "sender", "parent"})
TARGET_WORDS = frozenset({"target", "dst", "dest", "destination", "to", "tail", "end", "object", "receiver", "child"})
"""Words for the two ends of an edge."""

QUERY_WORDS = frozenset({"query", "queries", "question", "search", "keyword", "keywords", "phrase", "prompt", "term"})
"""Words for a text that is the name of a thing itself: what was searched for."""
_INDEX = re.compile(r"__index_level_\d+__|level_\d+|index|Unnamed: \d+|")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")


def words(name: str) -> list[str]:
    """Words in lower case: 'userID' and 'user_id' are both user, id."""
    return [word.lower() for word in _WORD.findall(name)]


def is_index_name(name: str) -> bool:
    """Whether pandas gives this name to an index without a name."""
    return _INDEX.fullmatch(name) is not None


def singular(word: str) -> str:
    """A plain English singular: 'queries' -> query, 'classes' -> class, 'movies' -> movie."""
    if len(word) > 4 and word.endswith("ies") and word not in ("movies", "series", "cookies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "news", "series")):
        return word[:-1]
    return word


def thing(name: str) -> str:
    """What a row of a table, or a value of a column, is called: 'products' -> product, 'user_id' -> user. The name
    itself when nothing would be left of it."""
    kept = [word for word in words(name) if word not in ID_WORDS]
    if not kept:
        return as_name(name)
    return as_name("_".join([*kept[:-1], singular(kept[-1])]))


def as_name(text: str) -> str:
    """A name that the pipeline allows, as near to `text` as can be."""
    cleaned = re.sub(r"[^A-Za-z0-9_.\-]+", "_", text).strip("_") or "table"
    return cleaned if re.match(r"[A-Za-z_]", cleaned) else f"t_{cleaned}"


def kinship(column: str, table: str, id_column: str) -> float:
    """How much a column's name speaks of a table's rows: 1 'user_id' of users, 0.5 'first_user' of users, 0 nothing."""
    own = [singular(word) for word in words(column) if word not in ID_WORDS]
    other = [singular(word) for word in words(table) if word not in ID_WORDS]
    is_telling = any(word not in ID_WORDS | {"name", "title"} for word in words(id_column))
    if column == id_column and (is_telling or words(column)[-1:] == ["sku"]):
        return 1.0
    if own and own == other:
        return 1.0
    if own and other and own[-1] == other[-1]:
        return 0.75
    return 0.5 if set(own) & set(other) else 0.0


def looks_like_key(column: str) -> bool:
    """Whether a name alone suggests that the column names something: user_id, src, cited_by."""
    found = words(column)
    is_end = bool(found) and (found[-1] in ID_WORDS or found[0] in SOURCE_WORDS | TARGET_WORDS)
    return is_end or (bool(found) and found[0] in ("citing", "cited"))
