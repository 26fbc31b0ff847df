"""What to predict: the label that a target names, or else the likeliest one; failing that, the edges of one type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.guess.facts import ColumnFacts, TableFacts
from gconstruct.guess.measure import as_floats
from gconstruct.guess.names import words
from gconstruct.guess.roles import PLAIN_LABELS, is_grade, is_split, is_text, label_kind, label_rank
from gconstruct.guess.shape import EdgeGuess, NodeGuess, Shape
from gconstruct.kinds import NUMBERS
from graphstorm_like.config.base import edge_name
from graphstorm_like.errors import ConfigError, did_you_mean

_GIVES_AWAY, _FEWEST = 0.98, 50
_GENERAL = frozenset({"split", "set", "fold", "partition", "label", "target", "class"})


@dataclass(frozen=True)
class Target:
    """What is predicted. owner: a node type or an edge; column: of the label, None for edges themselves."""

    owner: NodeGuess | EdgeGuess
    table: str
    column: str | None
    kind: str
    """class, number or link"""
    split_column: str | None
    why: str
    leaks: dict[str, str] = field(default_factory=dict)
    """Columns of the table that give the label away: column -> why."""
    relations: dict[int, str] = field(default_factory=dict)
    """Other edge types between the same nodes that are predicted too: position in shape.edges -> split column."""


def choose_target(shape: Shape, wanted: str | None) -> tuple[Target, list[str]]:
    """The target, and what else could be one, as `wanted` may name it.

    Raises ConfigError when `wanted` names nothing, or when nothing can be predicted.
    """
    candidates = sorted(_candidates(shape), key=lambda pair: pair[0])
    targets = [target for _, target in candidates]
    chosen = _wanted(shape, targets, wanted) if wanted is not None else next(iter(targets), None)
    if chosen is None:
        raise ConfigError(
            "tables: must hold something to predict (got no column that looks like a label, and no edges). Name one "
            "with --target TABLE.COLUMN"
        )
    if chosen.column is not None:
        leaks = _leaks(shape.tables[chosen.table], chosen)
        chosen = replace(chosen, leaks=leaks)
    elif wanted is None:
        chosen = replace(chosen, relations=_relations_beside(shape, chosen))
    return chosen, [name_of(target) for target in targets if name_of(target) != name_of(chosen)]


def _relations_beside(shape: Shape, target: Target) -> dict[int, str]:
    """Further edge types with a split between the nodes of predicted edges: with them, facts of a knowledge graph."""
    owner = target.owner
    if not isinstance(owner, EdgeGuess) or target.split_column is None:
        return {}
    found = {}
    for number, edge in enumerate(shape.edges):
        same_ends = (edge.source.node_type, edge.target.node_type) == (owner.source.node_type, owner.target.node_type)
        split = None if edge is owner or edge.from_node or not same_ends else own_split(shape.tables[edge.table], None)
        if split is not None:
            found[number] = split
    return found


def name_of(target: Target) -> str:
    """As --target takes it: 'item.category', or 'user:buys:item'."""
    owner = target.owner.name if isinstance(target.owner, NodeGuess) else edge_name(target.owner.edge_type)
    return owner if target.column is None else f"{owner}.{target.column}"


def _candidates(shape: Shape) -> Iterator[tuple[tuple[float, ...], Target]]:
    """(rank, target), lower ranks first: labels with a split of their own, columns named like a label, edges with a
    split, edges of tables, other categories, numbers."""
    for node in shape.nodes.values():
        if node.table is not None and node.id is not None:
            if node.is_text:
                continue
            table = shape.tables[node.table]
            skipped = {node.id.column, *node.taken}
            yield from _labels(node, table, skipped, 0.0)
    for edge in shape.edges:
        table = shape.tables[edge.table]
        if edge.from_node:
            continue
        yield from _labels(edge, table, {edge.source.column, edge.target.column}, 0.5)
        split = own_split(table, None)
        why = "no column looks like a label" if split is None else f"{split} says which edges are for what"
        size = -float(table.rows)
        yield (2.0 if split else 3.0, 0.0, size, 0.0, 0.0), Target(edge, table.name, None, "link", split, why)


def _labels(
    owner: NodeGuess | EdgeGuess, table: TableFacts, skipped: set[str], later: float
) -> Iterator[tuple[tuple[float, ...], Target]]:
    splits = _splits(table)  # once: a table may have thousands of columns
    for number, facts in enumerate(table.columns.values()):
        kind = label_kind(facts)
        if facts.name in skipped or kind is None or is_text(facts):
            continue
        rank, split = label_rank(facts.name), _split_for(splits, facts.name)
        what = f"{facts.distinct:,} different values" if rank is None else "named like a label"
        why = what if split is None else f"{what}, and {split} says which rows are for what"
        if is_grade(facts):
            why += f"; {facts.distinct} steps of a scale: a number. As classes: remove kind: number, classification"
        # Of tables of about one size the likelier name is chosen, else the table with more labels.
        size = -float(round(math.log2(max(facts.rows - facts.nulls, 1)) / 2))
        is_plain = float(rank is not None and rank >= len(PLAIN_LABELS))
        order = (_order(facts.name, kind, rank, split) + later, is_plain, size, float(rank or 0), float(number))
        yield order, Target(owner, table.name, facts.name, kind, split, why)


def _order(label: str, kind: str, rank: int | None, split: str | None) -> float:
    """Between 0 and 5: edges come in between, with a split at 2, without at 3."""
    if rank is not None:
        return 1.0 if split is None else 0.0
    if split is not None and _named_alike(split, label):
        return 1.5
    return 5.0 if kind == "number" else 4.0


def own_split(table: TableFacts, label: str | None) -> str | None:
    """The split column that goes with a label, section_split with section_label, or a general one. label: None for
    edges."""
    return _split_for(_splits(table), label)


def _splits(table: TableFacts) -> list[str]:
    return [facts.name for facts in table.columns.values() if is_split(facts)]


def _split_for(splits: list[str], label: str | None) -> str | None:
    alike = [name for name in splits if label is not None and _named_alike(name, label)]
    general = [name for name in splits if set(words(name)) <= _GENERAL]
    return next(iter([*alike, *general]), None)


def _named_alike(split: str, label: str) -> bool:
    return bool((set(words(split)) - _GENERAL) & (set(words(label)) - _GENERAL))


def _wanted(shape: Shape, targets: list[Target], wanted: str) -> Target:
    """The target that a name means: type.column, table.column, source:relation:target, a table or a relation."""
    for target in targets:
        if wanted in _names(target):
            return target
    made = _made(shape, wanted)
    if made is not None:
        return made
    known = [name for target in targets for name in _names(target)[:1]]
    raise ConfigError(
        f"--target: must be a column that can be a label, or an edge type (got '{wanted}'; e.g. "
        f"{', '.join(known[:8]) or 'none was found'}).{did_you_mean(wanted, [n for t in targets for n in _names(t)])}"
    )


def _names(target: Target) -> list[str]:
    owners = [name_of(target).removesuffix(f".{target.column}"), target.table]
    if not isinstance(target.owner, NodeGuess):
        owners += [target.owner.relation, "-".join(target.owner.edge_type)]
    return [owner if target.column is None else f"{owner}.{target.column}" for owner in owners]


def _made(shape: Shape, wanted: str) -> Target | None:
    """A column that no candidate has for it is an edge (brand of a product), or an edge type made of a column."""
    for edge in shape.edges:
        probe = Target(edge, edge.table, None, "link", None, "asked for")
        if wanted in _names(probe)[::2] or wanted in _names(probe)[2:]:
            return probe
    owner_name, _, column = wanted.rpartition(".")
    for node in shape.nodes.values():
        if node.table is None or owner_name not in (node.name, node.table):
            continue
        facts = shape.tables[node.table].columns.get(column)
        kind = None if facts is None else label_kind(facts)
        if facts is not None and kind is not None and (node.id is None or column != node.id.column):
            split = own_split(shape.tables[node.table], column)
            return Target(node, node.table, column, kind, split, "asked for")
    return None


# -------------------------------------------------------------------------------------------------------------- leaks


def _leaks(table: TableFacts, target: Target) -> dict[str, str]:
    """Columns of the sample from whose value the label follows: copies of it, finer categories."""
    label = target.column
    assert label is not None
    sample = table.sample
    if sample is None or target.kind == "link":
        return {}
    if target.kind == "number":
        same = f"gives {label} away: it rises or falls with it in every row"
        numeric = {name for name, facts in table.columns.items() if facts.kind in NUMBERS and name != label}
        return {name: same for name in numeric if _is_monotone(table, name, label)}
    return {
        name: f"gives {label} away: one of its values has one {label}"
        for name, facts in table.columns.items()
        if name != label and not is_split(facts) and not is_text(facts) and _gives_away(sample, facts, label)
    }


def _is_monotone(table: TableFacts, name: str, label: str) -> bool:
    """Whether in the sample a number never falls, or never rises, when the label rises, and both have many values."""
    assert table.sample is not None
    facts = (table.columns[name], table.columns[label])
    values, labels = (as_floats(_plain(table.sample.column(f.name)), f.kind) for f in facts)
    pairs = pa.table({"value": values, "label": labels}).drop_null()
    if pairs.num_rows < _FEWEST or pc.count_distinct(pairs.column("value")).as_py() < min(facts[1].sample_distinct, 20):
        return False
    ordered = pairs.sort_by([("label", "ascending"), ("value", "ascending")]).column("value").to_numpy()
    falling = pairs.sort_by([("label", "ascending"), ("value", "descending")]).column("value").to_numpy()
    return bool((np.diff(ordered) >= 0).all() or (np.diff(falling) <= 0).all())


def _gives_away(sample: pa.Table, facts: ColumnFacts, label: str) -> bool:
    """Whether one half of the sample tells the labels of the other: the most frequent label of a value is that of
    nearly all rows. Values that come once, as ids do, tell nothing."""
    few = 2 <= facts.sample_distinct <= facts.sample_rows / 2
    if facts.kind.startswith("list") or not few or facts.binary:
        return False
    pairs = pa.table({"value": _plain(sample.column(facts.name)), "label": _plain(sample.column(label))}).drop_null()
    if pairs.num_rows < _FEWEST:
        return False
    known, asked = pairs.filter(np.arange(len(pairs)) % 2 == 0), pairs.filter(np.arange(len(pairs)) % 2 == 1)
    counts = known.group_by(["value", "label"]).aggregate([([], "count_all")])
    best = counts.sort_by("count_all").group_by("value", use_threads=False).aggregate([("label", "last")])
    answers = asked.join(best, "value", join_type="inner")
    right = pc.sum(pc.cast(pc.equal(answers.column("label"), answers.column("label_last")), pa.int64())).as_py() or 0
    most = pc.max(pc.struct_field(pc.value_counts(pairs.column("label")), "counts")).as_py()
    return bool(right / len(asked) >= _GIVES_AWAY and most / len(pairs) < _GIVES_AWAY)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
