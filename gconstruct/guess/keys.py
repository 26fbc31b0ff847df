"""Which column names the rows of a table, and which columns name rows of other tables.

Both are measured on the columns' values (`sketch`). Names decide only between what the values allow: whole numbers
from 1 to 1,000 lie within the ids of nearly every table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gconstruct.guess.facts import ColumnFacts, TableFacts
from gconstruct.guess.names import (
    ID_WORDS,
    QUERY_WORDS,
    SOURCE_WORDS,
    TARGET_WORDS,
    is_index_name,
    kinship,
    looks_like_key,
    words,
)

NEARLY_ALL, MOST = 0.9, 0.5
_NEARLY_UNIQUE = 0.98


@dataclass(frozen=True)
class IdColumn:
    """The column with a table's own ids."""

    column: str
    why: str
    clean: bool = True
    """Whether it has no null and no value twice."""


@dataclass(frozen=True)
class Link:
    """A column whose values are ids of a table."""

    column: str
    table: str
    """Whose ids they are."""
    share: float
    """Of its distinct values, those that the table has."""
    kinship: float
    """How much the names agree."""
    whole: bool = True
    """Whether all values were compared, and not a sample of them."""

    @property
    def certain(self) -> bool:
        """Whether names and values agree."""
        return self.kinship >= 0.75 and self.share >= NEARLY_ALL


def is_end_name(column: str) -> bool:
    """source, target, src, dst, from, to: an end of an edge, of whatever type."""
    return bool(set(words(column)) & (SOURCE_WORDS | TARGET_WORDS))


def may_be_key(facts: ColumnFacts) -> bool:
    """Whether values could name something: text without sentences, or whole numbers."""
    return facts.sketch is not None and facts.kind in ("string", "integer") and facts.words <= 5 and not facts.separator


def is_query(facts: ColumnFacts) -> bool:
    """Whether it holds what was searched for: a text that is the name of a thing itself."""
    return facts.sketch is not None and facts.kind == "string" and bool(set(words(facts.name)) & QUERY_WORDS)


def find_ids(tables: Mapping[str, TableFacts]) -> dict[str, IdColumn]:
    """For each table that has one, the column with ids of its own. A column whose values are all ids of another table
    is a link to that, unless its name says that the ids are this table's."""
    chosen = {name: found for name, table in tables.items() if (found := _own_id(table)) is not None}
    owners = dict(chosen)
    for name, own in chosen.items():
        if _owns(name, own) < 1.0 and _belongs_elsewhere(name, own, tables, chosen):
            del owners[name]
    for name, own in list(owners.items()):
        other = _same_ids(name, own, tables, owners)
        if other is not None:
            del owners[name]
    return owners


def _own_id(table: TableFacts) -> IdColumn | None:
    candidates = [facts for facts in table.columns.values() if may_be_key(facts) and not is_end_name(facts.name)]
    unique = [facts for facts in candidates if facts.unique]
    if unique:
        best = max(unique, key=lambda facts: _fitness(table, facts))
        extent = "" if best.whole and best.sketch is not None and best.sketch.exact else ", as far as was looked"
        if _fitness(table, best) > 0:
            return IdColumn(best.name, f"unique and never null in {best.rows:,} rows{extent}")
    for facts in candidates:
        named = _bears_name(table.name, facts.name)
        if named and facts.rows and facts.distinct / facts.rows >= _NEARLY_UNIQUE:
            repeated = facts.rows - facts.nulls - facts.distinct
            return IdColumn(facts.name, f"by its name; {facts.nulls:,} null, about {repeated:,} repeated", False)
    return None


def _fitness(table: TableFacts, facts: ColumnFacts) -> float:
    """How well a unique column suits as id; 0 or less: not at all."""
    score = 1.0 if facts.words <= 1.5 else -0.5
    score += 2.0 * _bears_name(table.name, facts.name)
    score += 0.5 * (next(iter(table.columns)) == facts.name)
    score += 0.5 * (bool(words(facts.name)) and words(facts.name)[-1] in ID_WORDS)
    if is_index_name(facts.name):
        return score  # kept only where no other column names a row
    if facts.kind == "integer" and not looks_like_key(facts.name) and not _bears_name(table.name, facts.name):
        score -= 1.5  # a number that happens to be different in all rows: a price in cents, a time
    return score


def _bears_name(table: str, column: str) -> bool:
    """'id', 'key' or 'name' alone, or the table's own name: users.user_id, users.user."""
    found = words(column)
    bare = bool(found) and (set(found) <= ID_WORDS or found == ["name"])
    return bare or kinship(column, table, "") >= 0.75


def _owns(table: str, own: IdColumn) -> float:
    return float(_bears_name(table, own.column))


def _belongs_elsewhere(
    table: str, own: IdColumn, tables: Mapping[str, TableFacts], ids: Mapping[str, IdColumn]
) -> bool:
    """Whether the ids are those of another table: 'user_id' of a table of profiles."""
    facts = tables[table].columns[own.column]
    others = {name: found for name, found in ids.items() if name != table}
    return best_link(tables[table], facts, tables, others) is not None


def _same_ids(table: str, own: IdColumn, tables: Mapping[str, TableFacts], ids: Mapping[str, IdColumn]) -> str | None:
    """Another table with a column of the same name that has all these ids and tells more of them."""
    facts = tables[table].columns[own.column]
    for name, other in ids.items():
        theirs = tables[name].columns[other.column]
        if name == table or other.column != own.column or set(words(own.column)) <= {"id", "key", "name"}:
            continue
        if facts.sketch and theirs.sketch and facts.sketch.share_in(theirs.sketch) >= NEARLY_ALL:
            mine = (facts.distinct, len(tables[table].columns), name)
            if mine < (theirs.distinct, len(tables[name].columns), table):
                return name
    return None


def find_links(tables: Mapping[str, TableFacts], ids: Mapping[str, IdColumn]) -> dict[str, list[Link]]:
    """For each table the columns that name rows of a table, in the order of the columns."""
    return {name: list(_links_of(table, tables, ids)) for name, table in tables.items()}


def _links_of(table: TableFacts, tables: Mapping[str, TableFacts], ids: Mapping[str, IdColumn]) -> Iterator[Link]:
    for facts in table.columns.values():
        own = ids.get(table.name)
        if own is not None and own.column == facts.name:
            continue
        link = best_link(table, facts, tables, ids)
        if link is not None:
            yield link


def best_link(
    table: TableFacts, facts: ColumnFacts, tables: Mapping[str, TableFacts], ids: Mapping[str, IdColumn]
) -> Link | None:
    """The table whose ids a column's values most probably are."""
    if not may_be_key(facts):
        return None
    found: list[tuple[tuple[float, ...], Link]] = []
    for name, own in ids.items():
        theirs = tables[name].columns[own.column]
        if name == table.name and own.column == facts.name:
            continue
        link = _link(table, facts, name, own.column, theirs)
        if link is not None:
            covered = facts.distinct / max(theirs.distinct, 1)
            found.append(((link.kinship, round(link.share, 2), min(covered, 1.0)), link))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _link(table: TableFacts, facts: ColumnFacts, name: str, id_column: str, theirs: ColumnFacts) -> Link | None:
    if facts.sketch is None or theirs.sketch is None or not _comparable(facts, theirs):
        return None
    share = facts.sketch.share_in(theirs.sketch)
    kin = kinship(facts.name, name, id_column)
    key_like = looks_like_key(facts.name)
    needed = MOST if kin == 1.0 and key_like else NEARLY_ALL
    if share < needed:
        return None
    if name == table.name and facts.kind == "integer" and kin < 0.5 and not is_end_name(facts.name):
        return None
    if facts.kind == "integer":
        covered = facts.distinct / max(theirs.distinct, 1)
        convincing = kin >= 0.75 or is_end_name(facts.name) or (key_like and (kin >= 0.5 or covered >= 0.3))
        convincing = convincing or (_only_keys(table) and covered >= 0.1)
    else:
        convincing = kin > 0 or key_like or facts.distinct >= 5
    exact = facts.sketch.exact and theirs.sketch.exact and facts.whole and theirs.whole
    return Link(facts.name, name, share, kin, exact) if convincing else None


def _comparable(facts: ColumnFacts, theirs: ColumnFacts) -> bool:
    """Whether construction would take them for ids of one type: text and whole numbers of Parquet files never."""
    return facts.untyped or theirs.untyped or facts.kind == theirs.kind


def _only_keys(table: TableFacts) -> bool:
    """A table of pairs: two columns, both of which may name something, and neither of which by its name is the
    table's own id."""
    columns: Sequence[ColumnFacts] = list(table.columns.values())
    return len(columns) == 2 and all(may_be_key(facts) and not _bears_name(table.name, facts.name) for facts in columns)
