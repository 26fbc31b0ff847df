"""What to predict: the label that a target names, or else the likeliest one; failing that, the edges of one type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.guess.facts import ColumnFacts, TableFacts
from gconstruct.guess.names import words
from gconstruct.guess.roles import is_split, is_text, label_kind, label_rank
from gconstruct.guess.shape import EdgeGuess, NodeGuess, Shape
from graphstorm_like.config.base import edge_name
from graphstorm_like.errors import ConfigError, did_you_mean

_GIVES_AWAY = 0.98
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
        chosen = Target(chosen.owner, chosen.table, chosen.column, chosen.kind, chosen.split_column, chosen.why, leaks)
    return chosen, [name_of(target) for target in targets if name_of(target) != name_of(chosen)]


def name_of(target: Target) -> str:
    """As --target takes it: 'item.category', or 'user:buys:item'."""
    owner = target.owner.name if isinstance(target.owner, NodeGuess) else edge_name(target.owner.edge_type)
    return owner if target.column is None else f"{owner}.{target.column}"


def _candidates(shape: Shape) -> Iterator[tuple[tuple[float, ...], Target]]:
    """(rank, target), lower ranks first: labels with a split of their own, columns named like a label, edges with a
    split, edges of tables, other categories, numbers."""
    for node in shape.nodes.values():
        if node.table is not None and node.id is not None:
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
        yield (2.0 if split else 3.0, size, 0.0), Target(edge, table.name, None, "link", split, why)


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
        order = (_order(facts.name, kind, rank, split) + later, float(rank or 0), float(number))
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
    if sample is None or target.kind != "class":
        return {}
    return {
        name: f"gives {label} away: one of its values has one {label}"
        for name, facts in table.columns.items()
        if name != label and not is_split(facts) and not is_text(facts) and _gives_away(sample, facts, label)
    }


def _gives_away(sample: pa.Table, facts: ColumnFacts, label: str) -> bool:
    """Whether in the sample nearly all rows have the most frequent label of their value, and values repeat."""
    few = 2 <= facts.sample_distinct <= facts.sample_rows / 10
    if facts.kind.startswith("list") or not few or facts.binary:
        return False
    pairs = pa.table({"value": _plain(sample.column(facts.name)), "label": _plain(sample.column(label))}).drop_null()
    if pairs.num_rows < 50:
        return False
    counts = pairs.group_by(["value", "label"]).aggregate([([], "count_all")])
    best = counts.group_by("value").aggregate([("count_all", "max")])
    most = pc.max(pc.struct_field(pc.value_counts(pairs.column("label")), "counts")).as_py()
    share = pc.sum(best.column("count_all_max")).as_py() / pairs.num_rows
    return bool(share >= _GIVES_AWAY and most / pairs.num_rows < _GIVES_AWAY)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
