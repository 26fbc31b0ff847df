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

    def spans(self, sources: IntArray) -> tuple[IntArray, IntArray]:
        """Where the known targets of each source begin and end in `targets`; within, they ascend."""
        if self._sources is None:
            return self._starts[sources], self._starts[sources + 1]
        start, end = (np.searchsorted(self._sources, sources, side=side) for side in ("left", "right"))
        return start, end

    def pairs(self, sources: IntArray) -> tuple[IntArray, IntArray]:
        """(row in `sources`, known target) for all known targets of the given sources."""
        return pairs_of_spans(*self.spans(sources), self.targets)

    def all_pairs(self) -> tuple[IntArray, IntArray]:
        """(source, target) of all edges; sources ascend."""
        if self._sources is not None:
            return self._sources, self.targets
        return np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts)), self.targets


def pairs_of_spans(starts: IntArray, ends: IntArray, targets: IntArray) -> tuple[IntArray, IntArray]:
    """(i, targets[k]) for all starts[i] <= k < ends[i]."""
    sizes = ends - starts
    return np.repeat(np.arange(len(starts)), sizes), targets[ranges(starts, sizes)[0]]


def mark_pairs(mask: npt.NDArray[np.bool_], rows: IntArray, targets: IntArray, candidates: IntArray) -> None:
    """Set mask [B, C] where candidate j is one of the targets that are paired with row i. rows, targets [pairs]."""
    order = np.argsort(candidates, kind="stable")
    ordered = candidates[order]
    first = np.searchsorted(ordered, targets, side="left")
    found = np.searchsorted(ordered, targets, side="right") - first
    places, _ = ranges(first, found)
    mask[np.repeat(rows, found), order[places]] = True


def mask_of_spans(starts: IntArray, ends: IntArray, targets: IntArray, candidates: IntArray) -> npt.NDArray[np.bool_]:
    """[B, C]: whether candidate j is one of targets[starts[i] : ends[i]], which ascend.

    Hubs make this dear, for they are asked about in many rows and have many targets: each span is looked at once, and
    in one that is longer than the candidates these are looked up, not its targets in them.
    """
    mask = np.zeros((len(starts), len(candidates)), dtype=np.bool_)
    asked = np.flatnonzero(ends > starts)
    firsts, row, span_of_asked = np.unique(starts[asked], return_index=True, return_inverse=True)
    lasts = ends[asked][row]
    of_spans = np.zeros((len(firsts), len(candidates)), dtype=np.bool_)
    is_long = lasts - firsts > len(candidates)
    short = np.flatnonzero(~is_long)
    rows, known = pairs_of_spans(firsts[short], lasts[short], targets)
    mark_pairs(of_spans, short[rows], known, candidates)
    for span in np.flatnonzero(is_long):
        of_span = targets[firsts[span] : lasts[span]]
        places = np.minimum(np.searchsorted(of_span, candidates), len(of_span) - 1)
        of_spans[span] = of_span[places] == candidates
    mask[asked] = of_spans[span_of_asked]
    return mask


def _packed(source: IntArray, target: IntArray, num_sources: int) -> IntArray:
    """One array, which can be shared as one: the sources, ascending, and their targets, ascending within each; or,
    where this is longer than 2 * num_sources, pointers [num_sources + 1] and the targets."""
    order = np.lexsort((target, source))
    if len(source) < num_sources:
        return np.concatenate([source[order], target[order]])
    return np.concatenate([[0], np.cumsum(np.bincount(source, minlength=num_sources)), target[order]])


def _name(edge_type: EdgeType, rows: IntArray | None) -> str:
    of_rows = "all" if rows is None else blake2b(np.ascontiguousarray(rows).data, digest_size=12).hexdigest()
    return f"known:{edge_name(edge_type)}:{of_rows}"
