"""Tables -> node types and edge types.

A table with ids of its own is a node type, unless it only joins two others and nothing refers to it. A table of pairs
is an edge type; an end that no table describes becomes a node type without a table, and ends with mostly the same
values are one type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gconstruct.guess.facts import ColumnFacts, TableFacts
from gconstruct.guess.keys import (
    MOST,
    NEARLY_ALL,
    IdColumn,
    Link,
    find_ids,
    find_links,
    is_end_name,
    is_query,
    may_be_key,
)
from gconstruct.guess.names import SOURCE_WORDS, TARGET_WORDS, as_name, is_index_name, looks_like_key, thing, words
from gconstruct.guess.roles import is_split, is_text, label_rank, role_of

_FEW_WORDS = 1.5
"""On the mean, from which on ids are texts."""


@dataclass
class NodeGuess:
    """A node type. table: None for one whose ids come from the edges."""

    name: str
    table: str | None
    id: IdColumn | None
    why: str
    taken: dict[str, str] = field(default_factory=dict)
    """Columns that are edges of their own, and so no features: column -> why."""
    is_text: bool = False
    """Whether the ids of an edge table are texts, to be read as such: `table` is then that table."""


@dataclass
class EndGuess:
    """One end of an edge type. link: to a table's ids; None: the node type has no table."""

    column: str
    node_type: str
    link: Link | None


@dataclass
class EdgeGuess:
    """An edge type. from_node: the table is that of a node type, whose rows have a column that names another."""

    table: str
    relation: str
    source: EndGuess
    target: EndGuess
    why: str
    from_node: bool = False
    nulls: int = 0
    """Rows without an end."""

    @property
    def edge_type(self) -> tuple[str, str, str]:
        """(source, relation, target)"""
        return (self.source.node_type, self.relation, self.target.node_type)


@dataclass
class Shape:
    """The graph that was guessed."""

    tables: Mapping[str, TableFacts]
    nodes: dict[str, NodeGuess]
    edges: list[EdgeGuess]
    left_out: dict[str, str]
    """Tables that are not used: name -> why."""
    unsure: list[str]

    def rows_of(self, node: NodeGuess) -> int:
        """How many nodes a type has by its table; 0 without one."""
        if node.table is None or node.id is None:
            return 0
        table = self.tables[node.table]
        return table.columns[node.id.column].distinct if node.is_text else table.rows


def shape_of(tables: Mapping[str, TableFacts]) -> Shape:
    """Decide what each table is."""
    left_out = {name: "it has no rows" for name, table in tables.items() if table.rows == 0}
    present = {name: _without_index(table) for name, table in tables.items() if name not in left_out}
    ids = find_ids(present)
    links = find_links(present, ids)
    ids = {name: own for name, own in ids.items() if not _joins(name, links)}
    links = find_links(present, ids)
    shape = Shape(present, {}, [], left_out, [])
    for name, own in ids.items():
        node_type = _new_name(thing(name), shape.nodes)
        shape.nodes[node_type] = NodeGuess(node_type, name, own, f"{own.column}: {own.why}")
        if not own.clean:
            shape.unsure.append(f"{name}.{own.column} as id: {own.why}; rows without an id of their own are left out")
    type_of = {node.table: node.name for node in shape.nodes.values() if node.table is not None}
    for name, table in present.items():
        if name not in ids:
            _add_edge_table(shape, table, links[name], type_of)
    _name_untabled(shape)
    for name in ids:
        _add_links_of_node(shape, present[name], links[name], type_of)
    _drop_lonely(shape)
    return shape


def _without_index(table: TableFacts) -> TableFacts:
    """The table without the row numbers that pandas wrote beside it, unless nothing else can name a row or an end."""
    indexes = [name for name, facts in table.columns.items() if is_index_name(name) and facts.kind == "integer"]
    others = {name: facts for name, facts in table.columns.items() if name not in indexes}
    can_name = any(
        may_be_key(f) and (f.unique or is_end_name(f.name) or looks_like_key(f.name)) for f in others.values()
    )
    if not indexes or not can_name:
        return table
    return replace(table, columns=others, set_aside=dict.fromkeys(indexes, "row numbers that pandas wrote, its index"))


def _joins(name: str, links: Mapping[str, Sequence[Link]]) -> bool:
    """Whether a table only joins two others: two links, and no other table refers to it."""
    referred = any(link.table == name for found in links.values() for link in found)
    return len(links[name]) == 2 and not referred and links[name][0].column != links[name][1].column


def _new_name(wanted: str, used: Mapping[str, object]) -> str:
    name, number = wanted, 2
    while name in used:
        name, number = f"{wanted}_{number}", number + 1
    return name


# ---------------------------------------------------------------------------------------------------- tables of edges


def _add_edge_table(shape: Shape, table: TableFacts, links: Sequence[Link], type_of: Mapping[str, str]) -> None:
    ends = _two_ends(table, links)
    if ends is None:
        found = f"its rows seem to be about those of {links[0].table}: join them first" if links else (
            "no column has an id for every row, and it does not join two tables"
        )  # fmt: skip
        shape.left_out[table.name] = found
        return
    linked = {link.column: link for link in links}
    guesses = [
        EndGuess(column, type_of[linked[column].table] if column in linked else "", linked.get(column))
        for column in ends
    ]
    if len(links) > 2:
        others = ", ".join(link.column for link in links if link.column not in ends)
        shape.unsure.append(
            f"{table.name} names rows of more than two tables: it joins {ends[0]} and {ends[1]}; {others} is left out"
        )
    nulls = sum(table.columns[column].nulls for column in ends)
    relation = as_name(table.name.removeprefix("edges").removeprefix("edge").strip("-_. ") or table.name)
    why = " and ".join(_end_reason(table.columns[column], linked.get(column)) for column in ends)
    shape.edges.append(EdgeGuess(table.name, relation, guesses[0], guesses[1], why, nulls=nulls))


def _end_reason(facts: ColumnFacts, link: Link | None) -> str:
    if link is None:
        return f"{facts.name}: {facts.distinct:,} different values that no table describes"
    return f"{facts.name}: {link.share:.4g} of its values are ids of {link.table}".replace("1 of its", "all")


def _two_ends(table: TableFacts, links: Sequence[Link]) -> tuple[str, str] | None:
    """The columns with an edge's ends, source first."""
    named = [link.column for link in links]
    if len(named) < 2:
        named += _unlinked_ends(table, named)
    named = sorted(named[:2], key=list(table.columns).index) if len(named) >= 2 else []
    if len(named) < 2:
        return None
    first, second = named
    swapped = bool(set(words(first)) & TARGET_WORDS) and bool(set(words(second)) & SOURCE_WORDS)
    return (second, first) if swapped else (first, second)


def _unlinked_ends(table: TableFacts, linked: Sequence[str]) -> list[str]:
    """Columns that could be the missing ends: named as an end or a key, else the only other column that could."""
    others = [
        facts for facts in table.columns.values()
        if facts.name not in linked
        and (may_be_key(facts) or is_query(facts))
        and not is_split(facts)
        and facts.distinct > 1
    ]  # fmt: skip
    ends = [facts.name for facts in others if is_end_name(facts.name)]
    named = [facts.name for facts in others if facts.name not in ends]
    keys = [name for name in named if looks_like_key(name)]
    keys += [facts.name for facts in others if facts.name in named and is_query(facts) and facts.name not in keys]
    missing = 2 - len(linked)
    if len(ends) + len(keys) >= missing:
        return [*ends, *keys][:missing]
    plain = [facts.name for facts in others if not is_text(facts) and label_rank(facts.name) is None]
    only_pairs = len(table.columns) == 2 or (linked and len(plain) == 1)
    return plain[:missing] if only_pairs and len(plain) >= missing else []


# ------------------------------------------------------------------------------------------- node types without tables


def _name_untabled(shape: Shape) -> None:
    """Join ends without a table that have mostly the same values, and name the groups."""
    ends = [(edge, end) for edge in shape.edges for end in (edge.source, edge.target) if end.link is None]
    groups: list[list[tuple[EdgeGuess, EndGuess]]] = []
    for pair in ends:
        own = [group for group in groups if any(_same_things(shape, pair, other) for other in group)]
        merged = [member for group in own for member in group]
        groups = [group for group in groups if group not in own]
        groups.append([*merged, pair])
    for group in groups:
        name = _new_name(_group_name(shape, group), shape.nodes)
        count = max(_facts(shape, pair).distinct for pair in group)
        places = ", ".join(f"{edge.table}.{end.column}" for edge, end in group[:3])
        more = f" and {len(group) - 3} more" if len(group) > 3 else ""
        shape.nodes[name] = _of_texts(shape, name, group) or NodeGuess(
            name, None, None, f"at least {count:,} ids, of {places}{more}"
        )
        for _, end in group:
            end.node_type = name


def _of_texts(shape: Shape, name: str, group: Sequence[tuple[EdgeGuess, EndGuess]]) -> NodeGuess | None:
    """The node type whose ids are texts, such as queries; None where they are codes, or stand in several places."""
    facts, table = _facts(shape, group[0]), group[0][0].table
    if len(group) > 1 or facts.kind != "string" or facts.words < _FEW_WORDS or looks_like_key(facts.name):
        return None
    own = IdColumn(facts.name, f"{facts.words:.1f} words on the mean: the text is the id, once for each", False)
    return NodeGuess(name, table, own, own.why, is_text=True)


def _facts(shape: Shape, pair: tuple[EdgeGuess, EndGuess]) -> ColumnFacts:
    edge, end = pair
    return shape.tables[edge.table].columns[end.column]


def _same_things(shape: Shape, one: tuple[EdgeGuess, EndGuess], other: tuple[EdgeGuess, EndGuess]) -> bool:
    first, second = _facts(shape, one), _facts(shape, other)
    if first.sketch is None or second.sketch is None or (first.kind != second.kind and not _untyped(first, second)):
        return False
    share = max(first.sketch.share_in(second.sketch), second.sketch.share_in(first.sketch))
    if one[0] is other[0]:
        return share >= MOST / 2 and is_end_name(first.name) == is_end_name(second.name)
    if "integer" in (first.kind, second.kind):
        same_name = thing(first.name) == thing(second.name) and not is_end_name(first.name)
        return share >= MOST and same_name
    return share >= MOST


def _untyped(first: ColumnFacts, second: ColumnFacts) -> bool:
    return first.untyped or second.untyped


def _group_name(shape: Shape, group: Sequence[tuple[EdgeGuess, EndGuess]]) -> str:
    """By a column of a node table with the same values, by the column's own name, or by what tables' names share."""
    for pair in group:
        twin = _twin_column(shape, _facts(shape, pair))
        if twin is not None:
            return thing(twin)
    telling = [end.column for _, end in group if not is_end_name(end.column)]
    if telling:
        return thing(telling[0])
    tables = [edge.table for edge, _ in group]
    if len(set(tables)) > 1:
        shared = [word for word in words(tables[0]) if sum(word in words(t) for t in tables) > len(tables) / 2]
        if shared:
            return as_name("_".join(shared))
    edge, end = group[0]
    if all(pair[0] is edge for pair in group) and len(group) == 2:
        return "node" if "node" not in shape.nodes else f"{as_name(edge.table)}_node"
    return as_name(f"{edge.relation}_{words(end.column)[0]}")


def _twin_column(shape: Shape, facts: ColumnFacts) -> str | None:
    """A column of a node table with the same values."""
    for node in shape.nodes.values():
        if node.table is None or node.is_text:
            continue
        for column in shape.tables[node.table].columns.values():
            if node.id is not None and column.name == node.id.column:
                continue
            if _same_values(facts, column):
                return column.name
    return None


def _same_values(one: ColumnFacts, other: ColumnFacts) -> bool:
    if one.sketch is None or other.sketch is None or one.kind != "string" or other.kind != "string":
        return False
    both = min(one.sketch.share_in(other.sketch), other.sketch.share_in(one.sketch))
    return both >= NEARLY_ALL and one.distinct >= 5


# ----------------------------------------------------------------------------------------- columns of tables of nodes


def _add_links_of_node(shape: Shape, table: TableFacts, links: Sequence[Link], type_of: Mapping[str, str]) -> None:
    """An edge type for each column that names a node of another table, or of many that share a value."""
    node = shape.nodes[type_of[table.name]]
    assert node.id is not None
    for link in links:
        node.taken[link.column] = "its values are edges"
        end = EndGuess(link.column, type_of[link.table], link)
        _add_column_edge(shape, node, table, end, _end_reason(table.columns[link.column], link))
    for facts in table.columns.values():
        if facts.name == node.id.column or facts.name in node.taken:
            continue
        twin = _type_with_values(shape, node, facts)
        if twin is not None:
            node.taken[facts.name] = f"the same as the edges to {twin}"
        elif role_of(facts).kind == "many" and label_rank(facts.name) is None:
            node.taken[facts.name] = "its values are nodes"
            other = _new_name(thing(facts.name), shape.nodes)
            shape.nodes[other] = NodeGuess(other, None, None, f"values of {table.name}.{facts.name}")
            why = f"{facts.name}: {role_of(facts).why}; more than one_hot is for"
            _add_column_edge(shape, node, table, EndGuess(facts.name, other, None), why)


def _type_with_values(shape: Shape, node: NodeGuess, facts: ColumnFacts) -> str | None:
    """A node type without a table, linked to this one, that has the values of the column."""
    for edge in shape.edges:
        for end, other in ((edge.source, edge.target), (edge.target, edge.source)):
            untabled = end.link is None and other.node_type == node.name and not edge.from_node
            if untabled and _same_values(facts, shape.tables[edge.table].columns[end.column]):
                return end.node_type
    return None


def _add_column_edge(shape: Shape, node: NodeGuess, table: TableFacts, end: EndGuess, why: str) -> None:
    assert node.id is not None
    used = {edge.edge_type: edge for edge in shape.edges}
    stem = thing(end.column)
    relation = f"has_{stem}"
    while (node.name, relation, end.node_type) in used:
        relation += "_too"
    source = EndGuess(node.id.column, node.name, None)
    nulls = table.columns[end.column].nulls + table.columns[node.id.column].nulls
    shape.edges.append(EdgeGuess(table.name, relation, source, end, why, from_node=True, nulls=nulls))


def _drop_lonely(shape: Shape) -> None:
    """Say which node types no edge touches."""
    touched = {name for edge in shape.edges for name in (edge.source.node_type, edge.target.node_type)}
    for name in shape.nodes:
        if name not in touched and len(shape.nodes) > 1:
            shape.unsure.append(f"no table links {name} to anything")
