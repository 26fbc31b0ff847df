"""Validation and test pairs that other edge types hold too, in time that grows with the edges, not with the square of
the edge types: the pairs of many splits are sorted once, and each edge type is looked up among all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gconstruct.leaks.folder import HeldOut, LeakFolder
from gconstruct.opened import edges_at_once
from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.schema import EdgeTypeSchema

COPIED_SHARE, CHANCE = 0.1, 10.0
"""Another edge type is reported when it has this share of the pairs, and so many times what chance would give."""
_FEW = 8
"""Edges for each pair up to which an edge type is read as a whole, not by the targets of the pairs"""
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """Pairs of a split that are edges of another type, too."""

    other: EdgeType
    turned: bool
    """Whether as edges from the target to the source"""
    found: np.ndarray
    """bool (pairs)"""


@dataclass(frozen=True, slots=True)
class _Together:
    """Pairs of several edge types between the same two types of nodes."""

    ends: tuple[str, str]
    edge_types: list[EdgeType]
    keys: np.ndarray
    """int64 (k), ascending: one number for each different pair, target * sources + source"""
    starts: np.ndarray
    """int64 (k + 1): where the rows of a key begin in `owners` and `places`"""
    owners: np.ndarray
    """int64 (pairs): which of the edge types"""
    places: np.ndarray
    """int64 (pairs): which of its pairs"""


def copied_relations(graph: LeakFolder, pairs_of: Mapping[EdgeType, HeldOut]) -> dict[EdgeType, list[Copied]]:
    """What to report of the pairs of each edge type: other edge types in the order of the graph, forward first."""
    copied: dict[EdgeType, list[Copied]] = {edge_type: [] for edge_type in pairs_of}
    groups = list(_by_ends(graph, pairs_of))
    for other in graph.manifest.edges:
        if other.is_reverse:
            continue
        for turned in (False, True):
            ends = (other.edge_type[2], other.edge_type[0]) if turned else (other.edge_type[0], other.edge_type[2])
            for group in groups:
                if group.ends == ends:
                    _compare(graph, group, other, turned, pairs_of, copied)
    return copied


def _by_ends(graph: LeakFolder, pairs_of: Mapping[EdgeType, HeldOut]) -> Iterator[_Together]:
    by_ends: dict[tuple[str, str], list[EdgeType]] = {}
    for edge_type in pairs_of:
        by_ends.setdefault((edge_type[0], edge_type[2]), []).append(edge_type)
    for ends, edge_types in by_ends.items():
        num_sources = graph.manifest.node(ends[0]).count
        all_pairs = [pairs_of[edge_type] for edge_type in edge_types]
        keys = np.concatenate([pairs.target * num_sources + pairs.source for pairs in all_pairs])
        owners = np.repeat(np.arange(len(all_pairs)), [len(pairs) for pairs in all_pairs])
        places = np.concatenate([np.arange(len(pairs)) for pairs in all_pairs])
        order = np.argsort(keys, kind="stable")
        different, first = np.unique(keys[order], return_index=True)
        yield _Together(ends, edge_types, different, np.append(first, len(keys)), owners[order], places[order])


def _compare(
    graph: LeakFolder,
    group: _Together,
    other: EdgeTypeSchema,
    turned: bool,
    pairs_of: Mapping[EdgeType, HeldOut],
    copied: dict[EdgeType, list[Copied]],
) -> None:
    hits = _hits(graph, group, other, turned)
    edges = group.starts[hits + 1] - group.starts[hits]
    rows = np.concatenate([rows for _, rows in edges_at_once(group.starts[hits], edges, _AT_ONCE)])
    owners = group.owners[rows]
    counts = np.bincount(owners, minlength=len(group.edge_types))
    nodes = graph.manifest.node(group.ends[0]).count * graph.manifest.node(group.ends[1]).count
    share = max(COPIED_SHARE, CHANCE * other.count / (nodes or 1))
    for number in np.flatnonzero(counts):
        edge_type = group.edge_types[number]
        pairs = pairs_of[edge_type]
        if edge_type != other.edge_type and counts[number] > share * len(pairs):
            found = np.zeros(len(pairs), bool)
            found[group.places[rows[owners == number]]] = True
            copied[edge_type].append(Copied(other.edge_type, turned, found))


def _hits(graph: LeakFolder, group: _Together, other: EdgeTypeSchema, turned: bool) -> np.ndarray:
    """Which keys are edges of another type, ascending."""
    num_sources = graph.manifest.node(group.ends[0]).count
    hits = [np.empty(0, np.int64)]
    if other.count <= _FEW * len(group.keys):
        for starts, stops in graph.edge_ends(other.edge_type):
            source, target = (stops, starts) if turned else (starts, stops)
            keys = target * num_sources + source
            places = np.minimum(np.searchsorted(group.keys, keys), len(group.keys) - 1)
            hits.append(places[group.keys[places] == keys])
    else:
        target, source = np.divmod(group.keys, num_sources)
        ends = (target, source) if turned else (source, target)
        hits += [match.pairs for match in graph.matches(other.edge_type, *ends)]
    return np.unique(np.concatenate(hits))
