"""Nodes and their scores for each partition -> a partition for each; none gets more than it has room for."""

from __future__ import annotations

import numpy as np

_LAST_RESORT = 1e12
"""Less than any other score by this: partitions that are full by edges, though not by nodes."""


def place(scores: np.ndarray, room: np.ndarray, weights: np.ndarray, weight_room: np.ndarray) -> np.ndarray:
    """int64 (n): the partition of each node, the best one that has room.

    scores: float64 (n, P), changed by this. room: int (P), how many nodes still fit, n or more in all. weights (n) and
    weight_room (P): the nodes' edges, and how many still fit; a node whose edges fit nowhere goes where nodes fit.
    Where too many want the same partition, those stay that would lose most elsewhere.
    """
    scores[:, room <= 0] = -np.inf
    scores[:, weight_room <= 0] -= _LAST_RESORT
    parts: np.ndarray = np.argmax(scores, axis=1)
    taken, carried = (np.bincount(parts, of, minlength=len(room)) for of in (None, weights))
    if (taken <= room).all() and (carried <= weight_room).all():
        return parts
    return _in_rounds(scores, room.copy(), weights, weight_room.astype(np.float64))


def _in_rounds(scores: np.ndarray, room: np.ndarray, weights: np.ndarray, weight_room: np.ndarray) -> np.ndarray:
    """In each round the nodes that fit are placed; the others do not come back to where they were refused."""
    nodes, count = scores.shape
    parts, left = np.full(nodes, -1), np.arange(nodes)
    while left.size:
        wanted = scores[left]
        choice = np.argmax(wanted, axis=1)
        best = wanted[np.arange(len(left)), choice]
        wanted[np.arange(len(left)), choice] = -np.inf
        with np.errstate(invalid="ignore"):
            order = np.lexsort((wanted.max(axis=1) - best, choice))  # most to lose first
        chosen, node = choice[order], left[order]
        rank, before = _ranks(chosen, weights[node], count)
        fits_nodes = rank < room[chosen]
        fits_edges = (before + weights[node] <= weight_room[chosen]) | (best[order] <= -_LAST_RESORT / 2)
        fits = fits_nodes & fits_edges
        parts[node[fits]] = chosen[fits]
        room -= np.bincount(chosen[fits], minlength=count)
        weight_room -= np.bincount(chosen[fits], weights[node[fits]], minlength=count)
        refused = fits_nodes & ~fits_edges
        scores[node[refused], chosen[refused]] -= _LAST_RESORT
        left = np.sort(node[~fits])
        scores[:, room <= 0] = -np.inf
    return parts


def _ranks(chosen: np.ndarray, weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For nodes sorted by partition: how many stand before each in its own, and their weights together."""
    firsts = np.searchsorted(chosen, np.arange(count))
    sums = np.concatenate([[0], np.cumsum(weights)])
    return np.arange(len(chosen)) - firsts[chosen], sums[:-1] - sums[firsts][chosen]
