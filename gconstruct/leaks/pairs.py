"""Edges that give away validation and test edges: what training does not hide by itself.

Training on an edge type hides its validation and test edges from messages, with their parallel edges and the reverses
that construction made. It does not know of copies among its own training edges, of the same pairs the other way round,
or of other edge types with the same pairs, e.g. a reverse type from a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from gconstruct.leaks.base import HELD_OUT, MAX_PAIRS, TRAIN, Leak
from gconstruct.leaks.folder import HeldOut, LeakFolder
from gconstruct.leaks.relations import Copied, copied_relations
from gconstruct.leaks.rowhash import row_hashes
from gconstruct.sets import contained
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.schema import (
    SPLIT_COLUMN,
    EdgeTypeSchema,
    feature_column,
    label_column,
    label_split_column,
    text_column,
)

BOTH_WAYS = 0.9
"""Edges count as undirected ones that are stored both ways when this share of the pairs is there in reverse."""
_TOGETHER = 1 << 20
"""Pairs of several edge types that are compared with all others at one time, some 50 bytes each"""


def edge_leaks(graph: LeakFolder) -> Iterator[Leak]:
    """All findings about the splits of edge types, type by type."""
    edges = [edge for edge in graph.manifest.edges if not edge.is_reverse]
    while edges:
        pairs_of: dict[EdgeType, HeldOut] = {}
        some: list[EdgeTypeSchema] = []
        while edges and sum(map(len, pairs_of.values())) < _TOGETHER:
            some.append(edges.pop(0))
            if some[-1].split_counts is not None:
                pairs = graph.held_out(some[-1].edge_type, SPLIT_COLUMN, MAX_PAIRS)
                pairs_of |= {some[-1].edge_type: pairs} if len(pairs) else {}
        copied = copied_relations(graph, pairs_of)
        for edge in some:
            if edge.edge_type in pairs_of:
                yield from _link_leaks(graph, edge, pairs_of.pop(edge.edge_type), copied[edge.edge_type])
            for label in edge.labels:
                pairs = graph.held_out(edge.edge_type, label_split_column(label), MAX_PAIRS)
                if len(pairs):
                    yield from _copied_rows(graph, edge, label, pairs)


def _link_leaks(graph: LeakFolder, edge: EdgeTypeSchema, pairs: HeldOut, copied: Sequence[Copied]) -> Iterator[Leak]:
    """What there is about the edges' own split."""
    yield from _copied_edges(graph, edge, pairs)
    yield from _mirrored_edges(graph, edge, pairs)
    for copy in copied:
        yield _copied_relation(graph, edge, copy, pairs)


def _found(graph: LeakFolder, edge_type: EdgeType, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """bool (pairs): which pairs have an edge of a type, whatever its split."""
    found = np.zeros(len(source), bool)
    for match in graph.matches(edge_type, source, target):
        found[match.pairs] = True
    return found


def _with_split(graph: LeakFolder, edge: EdgeTypeSchema, splits: tuple[int, ...], pairs: HeldOut) -> np.ndarray:
    """bool (pairs): which pairs have an edge of one of these splits."""
    found = np.zeros(len(pairs), bool)
    for match in graph.matches(edge.edge_type, pairs.source, pairs.target):
        of_edges = match.file.column(SPLIT_COLUMN).to_numpy()[match.rows]
        found[match.pairs[np.isin(of_edges, splits)]] = True
    return found


def _copied_edges(graph: LeakFolder, edge: EdgeTypeSchema, pairs: HeldOut) -> Iterator[Leak]:
    trained = _with_split(graph, edge, (TRAIN,), pairs)
    if trained.any():
        yield _leak(
            graph,
            edge,
            pairs,
            trained,
            "copied_edges",
            "pairs of validation and test edges are among the training edges too",
            "Leave out repeated edges, or draw the split: a draw gives all edges of a pair one split",
        )


def _mirrored_edges(graph: LeakFolder, edge: EdgeTypeSchema, pairs: HeldOut) -> Iterator[Leak]:
    """(b, a) of a pair (a, b), between nodes of one type whose edges are stored both ways."""
    if edge.edge_type[0] != edge.edge_type[2]:
        return
    between_two = pairs.source != pairs.target
    mirrored = HeldOut(pairs.target, pairs.source, pairs.edges, pairs.total)
    is_there = _found(graph, edge.edge_type, mirrored.source, mirrored.target) & between_two
    if is_there.sum() < BOTH_WAYS * max(1, between_two.sum()):
        return
    hidden = _with_split(graph, edge, HELD_OUT, mirrored)
    visible = is_there & ~hidden
    if visible.any():
        yield _leak(
            graph,
            edge,
            pairs,
            visible,
            "mirrored_edges",
            "pairs of validation and test edges are there the other way round, and pass messages in training",
            "Store each undirected edge once (graph.edges has `reverse` for messages both ways), or give both "
            "directions one split: group_by a column that names the pair",
        )


def _copied_relation(graph: LeakFolder, edge: EdgeTypeSchema, copy: Copied, pairs: HeldOut) -> Leak:
    """The same pairs in another edge type, forward or the other way round."""
    name, way = edge_name(copy.other), " the other way round" if copy.turned else ""
    return _leak(
        graph,
        edge,
        pairs,
        copy.found,
        "copied_relation",
        f"pairs of validation and test edges are also edges {name}{way}, which pass messages in training",
        f"Leave these pairs out of {name}, or leave the edge type out of the model (fanout 0); if it is the "
        "reverse, let `reverse` make it",
    )


def _copied_rows(graph: LeakFolder, edge: EdgeTypeSchema, label: str, pairs: HeldOut) -> Iterator[Leak]:
    """Training edges that are equal to validation or test edges: ends, label, features and texts."""
    columns = [label_column(label), *map(feature_column, edge.features), *map(text_column, edge.text)]
    held_out, trained, of_pair = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for match in graph.matches(edge.edge_type, pairs.source, pairs.target):
        rows = match.file.select([*columns, label_split_column(label)]).take(pa.array(match.rows))
        contents = row_hashes([rows.column(name) for name in columns], len(match.rows))
        keys = contents ^ row_hashes([pa.array(match.pairs)], len(match.rows))
        splits = rows.column(label_split_column(label)).to_numpy()
        is_held_out = np.isin(splits, HELD_OUT)
        trained.append(keys[splits == TRAIN])
        held_out.append(keys[is_held_out])
        of_pair.append(match.pairs[is_held_out])
    copied = contained(np.concatenate(held_out), np.concatenate(trained))
    if not copied.any():
        return
    which = np.zeros(len(pairs), bool)
    which[np.concatenate(of_pair)[copied]] = True
    yield Leak(
        rule="copied_edge_rows",
        where=f"edges {edge_name(edge.edge_type)}, label {label}",
        count=int(copied.sum()),
        looked_at=len(copied),
        total=max(len(copied), pairs.total),
        what="validation and test edges are equal to training edges: ends, label, features and texts",
        fix="Leave out repeated rows, or draw the split: a draw gives all edges of a pair one split",
        examples=graph.pair_examples(edge.edge_type, pairs.source[which], pairs.target[which]),
    )


def _leak(
    graph: LeakFolder, edge: EdgeTypeSchema, pairs: HeldOut, found: np.ndarray, rule: str, what: str, fix: str
) -> Leak:
    """A finding about pairs."""
    return Leak(
        rule=rule,
        where=f"edges {edge_name(edge.edge_type)}",
        count=int(found.sum()),
        looked_at=len(pairs),
        total=len(pairs) if pairs.edges == pairs.total else pairs.total,
        what=what,
        fix=fix,
        examples=graph.pair_examples(edge.edge_type, pairs.source[found], pairs.target[found]),
    )
