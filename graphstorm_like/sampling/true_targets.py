"""The known true targets of each source, which are excluded from the negatives in training and from the candidates in
ranking."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.ranges import ranges


class TrueTargets:
    """The known true targets of each source, as CSR; built from the ends of edges. Where most nodes have no edge, as
    with many relations, it takes memory by edges, not by nodes."""

    def __init__(self, source: IntArray, target: IntArray, num_sources: int) -> None:
        self._take(_packed(source, target, num_sources), num_sources)

    @classmethod
    def of_edges(cls, graph: Graph, edge_type: EdgeType, rows: IntArray | None = None) -> TrueTargets:
        """Those of some edges of a graph, or of all; the processes of a host share them."""
        num_sources = graph.manifest.node(edge_type[0]).count

        def make() -> IntArray:
            return _packed(*directed_edges(graph, edge_type, rows), num_sources)

        known = cls.__new__(cls)
        known._take(once_a_host(graph, _name(edge_type, rows), make), num_sources)
        return known

    def _take(self, packed: IntArray, num_sources: int) -> None:
        self._sources: IntArray | None = None
        self._starts = packed[: num_sources + 1]
        if len(packed) > 2 * num_sources:
            self.targets = packed[num_sources + 1 :]
        else:
            self._sources, self.targets = packed.reshape(2, -1)

    def pairs(self, sources: IntArray) -> tuple[IntArray, IntArray]:
        """(row in `sources`, known target) for all known targets of the given sources."""
        if self._sources is None:
            start, end = self._starts[sources], self._starts[sources + 1]
        else:
            start, end = (np.searchsorted(self._sources, sources, side=side) for side in ("left", "right"))
        count = end - start
        return np.repeat(np.arange(len(sources)), count), self.targets[ranges(start, count)[0]]

    def all_pairs(self) -> tuple[IntArray, IntArray]:
        """(source, target) of all edges; sources ascend."""
        if self._sources is not None:
            return self._sources, self.targets
        return np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts)), self.targets

    def mask(self, sources: IntArray, candidates: IntArray, also: IntArray | None = None) -> npt.NDArray[np.bool_]:
        """[B, C]: candidate j is a known target of source i, or also[i].

        Costs the number of known pairs, not B * C comparisons.
        """
        rows, targets = self.pairs(sources)
        if also is not None:
            rows, targets = np.concatenate([rows, np.arange(len(sources))]), np.concatenate([targets, also])
        return mask_of_pairs(rows, targets, len(sources), candidates)


def mask_of_pairs(rows: IntArray, targets: IntArray, count: int, candidates: IntArray) -> npt.NDArray[np.bool_]:
    """[count, C]: whether candidate j is one of the targets that are paired with row i. rows, targets [pairs]."""
    order = np.argsort(candidates, kind="stable")
    ordered = candidates[order]
    first = np.searchsorted(ordered, targets, side="left")
    found = np.searchsorted(ordered, targets, side="right") - first
    places, _ = ranges(first, found)
    mask = np.zeros((count, len(candidates)), dtype=np.bool_)
    mask[np.repeat(rows, found), order[places]] = True
    return mask


def _packed(source: IntArray, target: IntArray, num_sources: int) -> IntArray:
    """One array, which can be shared as one: the sources, ascending, and their targets; or, where this is longer than
    2 * num_sources, pointers [num_sources + 1] and the targets."""
    order = np.argsort(source, kind="stable")
    if len(source) < num_sources:
        return np.concatenate([source[order], target[order]])
    return np.concatenate([[0], np.cumsum(np.bincount(source, minlength=num_sources)), target[order]])


def _name(edge_type: EdgeType, rows: IntArray | None) -> str:
    of_rows = "all" if rows is None else blake2b(np.ascontiguousarray(rows).data, digest_size=12).hexdigest()
    return f"known:{edge_name(edge_type)}:{of_rows}"
