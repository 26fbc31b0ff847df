"""Trivial predictions for the same rows, scored by the same metrics: what a model must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.ranking import Ranks

MOST_DRAWN = 40_000_000
"""Candidates in memory at once: 320 MB"""


def majority(train: npt.NDArray[Any], rows: int, classes: int) -> npt.NDArray[np.float32]:
    """[rows, classes]: every row gets the shares of the classes among the training labels, whose largest is the
    prediction."""
    shares = np.bincount(train, minlength=classes) / max(1, len(train))
    return np.broadcast_to(shares.astype(np.float32), (rows, classes)).copy()


def constants(train: npt.NDArray[Any]) -> dict[str, float]:
    """Numbers that every row gets."""
    values = train.astype(np.float64)
    return {"mean": float(values.mean()), "median": float(np.median(values))}


def popularity_ranks(
    graph: Graph, edge_type: EdgeType, train: IntArray, rows: IntArray, protocol: Mapping[str, Any], seed: int
) -> Ranks:
    """Ranks of the targets of some edges when candidates are ordered by their number of training edges, under the
    protocol by which the model was ranked (see `tasks.links`). train, rows: edge ids."""
    targets = graph.manifest.node(edge_type[2]).count
    popular = np.bincount(directed_edges(graph, edge_type, train)[1], minlength=targets)
    source, target = directed_edges(graph, edge_type, rows)
    exclude = bool(protocol.get("source_excluded")) and edge_type[0] == edge_type[2]
    excluded = _excluded(graph, edge_type, source, exclude)
    candidates = protocol.get("candidates", "all")
    if candidates == "all":
        return _among_all(popular, target, *excluded)
    return _among_drawn(popular, target, *excluded, drawn=int(candidates), seed=seed)


def _excluded(graph: Graph, edge_type: EdgeType, source: IntArray, exclude_source: bool) -> tuple[IntArray, IntArray]:
    """(row, node that is no candidate for it), without repetition, by row: known targets of any split."""
    count = graph.manifest.node(edge_type[2]).count
    known = TrueTargets(*directed_edges(graph, edge_type), graph.manifest.node(edge_type[0]).count)
    row, node = known.pairs(source)
    if exclude_source:
        row, node = np.concatenate([row, np.arange(len(source))]), np.concatenate([node, source])
    pairs = np.unique(row * count + node)
    return pairs // count, pairs % count


def _among_all(popular: IntArray, target: IntArray, row: IntArray, node: IntArray) -> Ranks:
    of_target, ordered = popular[target], np.sort(popular)
    after = np.searchsorted(ordered, of_target, side="right")
    better = len(ordered) - after
    equal = after - np.searchsorted(ordered, of_target, side="left") - 1  # not itself
    others = node != target[row]
    row, node = row[others], node[others]
    better = better - np.bincount(row, popular[node] > of_target[row], len(target))
    equal = equal - np.bincount(row, popular[node] == of_target[row], len(target))
    candidates = len(ordered) - np.bincount(row, minlength=len(target))
    return Ranks(1.0 + better + 0.5 * equal, candidates.astype(np.float64))


def _among_drawn(popular: IntArray, target: IntArray, row: IntArray, node: IntArray, drawn: int, seed: int) -> Ranks:
    """The candidates are those that the model was ranked among: the same stream of random numbers."""
    rng, count = stream(seed, "ranking"), len(popular)
    ranks = Ranks(np.empty(len(target)), np.empty(len(target)))
    excluded = row * count + node
    step = max(1, MOST_DRAWN // drawn)
    for start in range(0, len(target), step):
        part = np.arange(start, min(start + step, len(target)))
        candidates = rng.integers(count, size=(len(part), drawn))
        keys = part[:, None] * count + candidates
        at = np.minimum(np.searchsorted(excluded, keys), max(0, len(excluded) - 1))
        valid = excluded[at] != keys
        of_target = popular[target[part]][:, None]
        better = ((popular[candidates] > of_target) & valid).sum(1)
        equal = ((popular[candidates] == of_target) & valid).sum(1)
        ranks.rank[part] = 1.0 + better + 0.5 * equal
        ranks.candidates[part] = 1.0 + valid.sum(1)
    return ranks
