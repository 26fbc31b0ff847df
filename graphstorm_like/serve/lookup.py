"""Positions of nodes by the user's ids, for many questions: 16 bytes a node."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.hashing import hash_strings
from graphstorm_like.graph.store import Graph, IntArray, NodeType


class IdLookup:
    """Ids of one node type, sorted by a hash of their written form."""

    def __init__(self, graph: Graph, node_type: NodeType) -> None:
        self.graph, self.node_type = graph, node_type
        ids = graph.ids(node_type)
        hashes = hash_strings(_as_strings(ids))
        self._order: IntArray = np.argsort(hashes, kind="stable")
        self._hashes: npt.NDArray[np.uint64] = hashes[self._order]

    def positions(self, ids: pa.Array) -> IntArray:
        """[n] positions of ids; -1 for those that no node has."""
        found = np.full(len(ids), -1, dtype=np.int64)
        wanted = _as_strings(ids)
        hashes = hash_strings(wanted)
        at = np.searchsorted(self._hashes, hashes, side="left")
        unsettled = np.arange(len(ids))
        while len(unsettled):  # more than once only where hashes are equal
            inside = unsettled[at[unsettled] < len(self._hashes)]
            unsettled = inside[self._hashes[at[inside]] == hashes[inside]]
            if not len(unsettled):
                break
            rows = self._order[at[unsettled]]
            there = _as_strings(self.graph.ids_of(self.node_type, rows))
            same = pc.equal(there, wanted.take(pa.array(unsettled))).to_numpy(zero_copy_only=False).astype(bool)
            found[unsettled[same]] = rows[same]
            unsettled = unsettled[~same]
            at[unsettled] += 1
        return found


def _as_strings(ids: pa.Array) -> pa.Array:
    return ids if pa.types.is_large_string(ids.type) else pc.cast(ids, pa.large_string())
