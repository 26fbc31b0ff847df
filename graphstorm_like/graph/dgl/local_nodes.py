"""Numbers of nodes in DGL's graph of a partition, which knows no types: the partition's own nodes, type by type, then
its halo nodes (the sources of its edges that lie in other partitions), type by type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphstorm_like.graph.store import IntArray, NodeType


class LocalNodes:
    """own: (first, last + 1) of the partition's ids of each node type. sources: ids of the sources of its edges."""

    def __init__(self, own: Mapping[NodeType, tuple[int, int]], sources: Mapping[NodeType, Sequence[IntArray]]) -> None:
        self.own = dict(own)
        self.halo = {t: _outside(sources.get(t, ()), *bounds) for t, bounds in self.own.items()}
        self.inner_starts = starts_of([stop - start for start, stop in self.own.values()])
        self.halo_starts = self.inner_starts[-1] + starts_of([len(ids) for ids in self.halo.values()])
        self.count = int(self.halo_starts[-1])
        self._place = {t: i for i, t in enumerate(self.own)}

    def numbers(self, node_type: NodeType, ids: IntArray) -> IntArray:
        """The numbers of own or halo nodes of a type."""
        (start, stop), t = self.own[node_type], self._place[node_type]
        inside = (ids >= start) & (ids < stop)
        at_halo: IntArray = self.halo_starts[t] + np.searchsorted(self.halo[node_type], ids)
        return np.where(inside, self.inner_starts[t] + ids - start, at_halo)

    def ids(self) -> IntArray:
        """[count]: id within its type of every node."""
        return joined([*(np.arange(*bounds) for bounds in self.own.values()), *self.halo.values()])


def starts_of(sizes: Any) -> IntArray:
    """[n + 1]: where each begins when all are laid out one after another."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def joined(arrays: Sequence[Any]) -> IntArray:
    """One array of all, int64."""
    return np.concatenate([np.zeros(0, np.int64), *(a.astype(np.int64) for a in arrays)])


def _outside(ids: Sequence[IntArray], start: int, stop: int) -> IntArray:
    """Distinct ids that are not in start..stop-1, ascending."""
    distinct = np.unique(joined(ids))
    return distinct[(distinct < start) | (distinct >= stop)]
