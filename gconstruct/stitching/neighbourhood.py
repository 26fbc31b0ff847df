"""Which corpus nodes are the same as application nodes, and which corpus edges surround them.

Arrays in, arrays out: n application nodes and m corpus nodes of a type, e edges of a corpus edge type. Nothing loops
over nodes or edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Match(NamedTuple):
    """One-to-one matches of n own keys with m others."""

    own: np.ndarray
    """int64 (a): own positions, ascending"""
    other: np.ndarray
    """int64 (a): the position with the same key, for each of them"""
    ambiguous: np.ndarray
    """bool (n): has an equal key, but not one to one"""


def match(keys: pa.Array, other_keys: pa.Array) -> Match:
    """One-to-one matches of two columns of keys, compared as text. A null matches nothing."""
    keys, other_keys = pc.cast(keys, pa.large_string()), pc.cast(other_keys, pa.large_string())
    unique = np.flatnonzero(_occurs_once(other_keys))
    matched = pc.index_in(keys, value_set=other_keys.take(pa.array(unique)), skip_nulls=True)
    hit = pc.is_valid(matched).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(hit & _occurs_once(keys))
    ambiguous = pc.is_in(keys, value_set=other_keys, skip_nulls=True).to_numpy(zero_copy_only=False).copy()
    ambiguous[rows] = False
    positions = pc.fill_null(matched, 0).to_numpy(zero_copy_only=False)
    return Match(rows, unique[positions[rows]].astype(np.int64), ambiguous)


def _occurs_once(keys: pa.Array) -> np.ndarray:
    """bool (n): no other row has the key; a null does not count."""
    encoded = keys.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    counts = np.bincount(codes[codes >= 0], minlength=max(1, len(encoded.dictionary)))
    once: np.ndarray = (codes >= 0) & (counts[codes] == 1)
    return once


@dataclass(slots=True)
class Relation:
    """The edges of one corpus edge type between node types `source_type` and `target_type`."""

    source_type: str
    target_type: str
    source: np.ndarray
    """int (e): corpus node positions"""
    target: np.ndarray
    """int (e)"""
    usable: np.ndarray
    """bool (e): may be followed"""


def surroundings(
    relations: Mapping[int, Relation],
    aligned: Mapping[str, np.ndarray],
    hops: int,
    max_neighbors: int | None = None,
    seed: int = 0,
) -> tuple[dict[int, np.ndarray], dict[str, np.ndarray]]:
    """Follow edges `hops` times from the aligned nodes, along and against their direction.

    relations: by numbers, which enter the seeds of draws. aligned: bool (m) by node type. max_neighbors: edges
    followed per node, relation and direction in a hop. Returns (followed edges, bool (e) by relation; reached nodes,
    aligned ones included, bool (m) by node type). Each node is expanded once, in the hop after it was reached.
    """
    reached = {name: mask.copy() for name, mask in aligned.items()}
    frontier = dict(aligned)
    followed = {number: np.zeros(len(relation.source), bool) for number, relation in relations.items()}
    for hop in range(hops):
        touched = {name: np.zeros(len(mask), bool) for name, mask in reached.items()}
        for number, relation in relations.items():
            inwards = (relation.target_type, relation.target, relation.source_type, relation.source)
            outwards = (relation.source_type, relation.source, relation.target_type, relation.target)
            for direction, (near_type, near, far_type, far) in enumerate((inwards, outwards)):
                rows = np.flatnonzero(frontier[near_type][near] & relation.usable)
                if max_neighbors is not None:
                    draws = np.random.default_rng([seed, hop, number, direction])
                    rows = rows[draw_each(near[rows], max_neighbors, draws)]
                followed[number][rows] = True
                touched[far_type][far[rows]] = True
        frontier = {name: mask & ~reached[name] for name, mask in touched.items()}
        for name, mask in frontier.items():
            reached[name] |= mask
    return followed, reached


def draw_each(nodes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """int64: at most `count` rows of every node, drawn uniformly. nodes (n): the node of each row."""
    order = np.lexsort((rng.random(len(nodes)), nodes))
    ordered = nodes[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(nodes)])
    rank = np.arange(len(nodes)) - np.repeat(starts, np.diff(np.append(starts, len(nodes))))
    return order[rank < count]


def pair_keys(source: np.ndarray, target: np.ndarray, num_targets: int) -> np.ndarray:
    """int64 (e): one number per pair of nodes"""
    keys: np.ndarray = source.astype(np.int64) * num_targets + target
    return keys


def joins_pair(source: np.ndarray, target: np.ndarray, keys: np.ndarray, num_targets: int) -> np.ndarray:
    """bool (e): the pair of nodes that an edge joins is one of `keys`. A position of -1 is no node."""
    complete = np.flatnonzero((source >= 0) & (target >= 0))
    joined = np.zeros(len(source), bool)
    joined[complete] = np.isin(pair_keys(source[complete], target[complete], num_targets), keys)
    return joined
