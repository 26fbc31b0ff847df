"""The training edges of many relations, kept together: what a step asks of hundreds of relations, a few edges of each,
is found at once and not relation by relation. In memory: 32 bytes an edge, which the processes of a host share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.true_targets import TrueTargets, mask_of_spans, pairs_of_spans

MANY = 16
"""With more relations their edges are kept together."""


class EdgeEnds:
    """Ends of all edges of some relations by their numbers, which count through the relations."""

    def __init__(self, graph: Graph, edge_types: Sequence[EdgeType]) -> None:
        self._of_stored = {}
        start = 0
        originals = list(dict.fromkeys(stored(edge_type) for edge_type in edge_types))
        for edge_type in originals:
            self._of_stored[edge_type] = start
            start += graph.manifest.edge(edge_type).count
        self._edge_types = list(edge_types)

        def make() -> IntArray:
            return np.concatenate([np.stack(graph.edges(edge_type)) for edge_type in originals], axis=1)

        self._ends = once_a_host(graph, "ends:" + ",".join(map(edge_name, originals)), make)

    def read(self, rows: Mapping[EdgeType, IntArray]) -> dict[EdgeType, tuple[IntArray, IntArray]]:
        """Edge ids by relation -> (sources, targets) by relation."""
        starts = [self._of_stored[stored(edge_type)] for edge_type in rows]
        counts = [len(ids) for ids in rows.values()]
        ends = self._ends[:, np.concatenate([*rows.values()]) + np.repeat(starts, counts)]
        found, stop = {}, 0
        for edge_type, count in zip(rows, counts, strict=True):
            start, stop = stop, stop + count
            source, target = ends[:, start:stop][::-1] if is_inverse(edge_type) else ends[:, start:stop]
            found[edge_type] = (source, target)
        return found


class KnownTargets:
    """The true targets of the sources of all relations."""

    def __init__(self, true_targets: Mapping[EdgeType, TrueTargets], num_sources: int) -> None:
        """num_sources: of the largest source type."""
        self._number = {edge_type: i for i, edge_type in enumerate(true_targets)}
        self._most = num_sources
        keys, targets = [], []
        for number, true in enumerate(true_targets.values()):
            sources, of_relation = true.all_pairs()
            keys.append(sources + number * num_sources)
            targets.append(of_relation)
        self._keys, self._targets = np.concatenate(keys), np.concatenate(targets)

    def spans(self, edges: Mapping[EdgeType, IntArray]) -> tuple[IntArray, IntArray]:
        """Sources by relation -> where the known targets of each begin and end among all."""
        counts = [len(sources) for sources in edges.values()]
        numbers = [self._number[edge_type] for edge_type in edges]
        keys = np.concatenate([*edges.values()]) + np.repeat(numbers, counts) * self._most
        start, end = (np.searchsorted(self._keys, keys, side=side) for side in ("left", "right"))
        return start, end

    def pairs(self, edges: Mapping[EdgeType, IntArray]) -> tuple[IntArray, IntArray]:
        """Sources by relation -> (row among all of them, known target) for all known targets."""
        return pairs_of_spans(*self.spans(edges), self._targets)

    def mask(self, edges: Mapping[EdgeType, IntArray], candidates: IntArray) -> npt.NDArray[np.bool_]:
        """Sources by relation, B in all -> [B, C]: whether candidate j is a known target."""
        return mask_of_spans(*self.spans(edges), self._targets, candidates)


class KnownByRelation:
    """The same of few relations, one after the other, without a copy of their edges."""

    def __init__(self, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        self._true_targets = true_targets

    def pairs(self, edges: Mapping[EdgeType, IntArray]) -> tuple[IntArray, IntArray]:
        """See KnownTargets."""
        rows, targets, before = [], [], 0
        for edge_type, sources in edges.items():
            of_relation, known = self._true_targets[edge_type].pairs(sources)
            rows.append(of_relation + before)
            targets.append(known)
            before += len(sources)
        return np.concatenate(rows), np.concatenate(targets)

    def mask(self, edges: Mapping[EdgeType, IntArray], candidates: IntArray) -> npt.NDArray[np.bool_]:
        """See KnownTargets."""
        masks = []
        for edge_type, sources in edges.items():
            true = self._true_targets[edge_type]
            masks.append(mask_of_spans(*true.spans(sources), true.targets, candidates))
        return np.concatenate(masks)
