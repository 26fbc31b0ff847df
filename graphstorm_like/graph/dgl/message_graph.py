"""A partition's message graph (without the edges that the task hides) as DGL's sampler reads it.

One process of the host builds it, straight from the partition's Arrow files, as tables in the host's shared-memory
folder; all others of the host map it. 24 bytes an edge. DGL's graph has no types: edges are numbered type by type, and
a key says which type and row an edge has.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.files import exclusive, read_object, write_json
from graphstorm_like.graph.dgl.local_nodes import LocalNodes, joined, starts_of
from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.partition_reader import HiddenEdges, Partition
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.shared import create_rows, find
from graphstorm_like.graph.store import Hop, IntArray, NodeType
from graphstorm_like.pending import Pending

TABLES = ("indptr", "sources", "edges", "node_ids", "edge_keys")
TYPE_SHIFT = 48
"""An edge's key: its type's number << TYPE_SHIFT | its row in the partition."""
LONG_SECONDS = 7 * 86_400.0
"""A process that waits for the builder is ended with it."""
SEEDS = 2**31
"""DGL's seeds are int32."""


def view_of(manifest: GraphManifest, hidden: HiddenEdges) -> str:
    """Name of a graph's message graph: a hash of its files and of the hidden edges."""
    facts = (sorted(manifest.hashes.items()), sorted(hidden.columns.items()))
    mark = blake2b(repr(facts).encode(), digest_size=12)
    for edge_type, ends in sorted(hidden.ends.items()):
        mark.update(repr((edge_type, len(ends[0]))).encode())
        for ids in ends:
            mark.update(np.ascontiguousarray(ids).data)
    return mark.hexdigest()


class DglPartition(Partition):
    """A partition whose edges DGL samples. Its columns are read as the own store reads them, from memory maps."""

    def __init__(self, folder: Path, manifest: GraphManifest, number: int, hidden: HiddenEdges, shm: Path) -> None:
        super().__init__(folder, manifest, number, hidden, shm)
        self._place, self._view, self._number = shm, view_of(manifest, hidden), number

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """See Part. But what is drawn for a node depends on what else is asked, and on the partition."""
        return Pending(lambda: self._message_graph.hops(requests, seed + self._number))

    @functools.cached_property
    def _message_graph(self) -> MessageGraph:
        ready = self._place / f"dgl-{self._view}.json"
        with exclusive(self._place / f"dgl-{self._view}.lock", "building DGL's graph", LONG_SECONDS, lambda _: None):
            if not ready.exists():
                offsets = self._build()
                write_json(ready, {"offsets": offsets})
        facts = read_object(ready)
        assert facts is not None
        tables = {name: find(self._place, self._table_name(name)).open("r+").values[:, 0] for name in TABLES}
        own = {t: self.schema.node_ranges[t] for t in self.manifest.nodes}
        starts = starts_of([stop - start for start, stop in own.values()]).tolist()
        inner = dict(zip(own, starts, strict=False))  # behind the last type lie the halo nodes
        return MessageGraph([e.edge_type for e in self.manifest.edges], inner, facts["offsets"], tables)

    def _table_name(self, name: str) -> str:
        return f"dgl:{self._view}:{name}"

    def _build(self) -> list[int]:
        """Write the tables. Returns the first number of the edges of each type, and of those after the last."""
        own = {t: self.schema.node_ranges[t] for t in self.manifest.nodes}
        sources_by_type: dict[NodeType, list[IntArray]] = {t: [] for t in own}
        hops: dict[EdgeType, Hop] = {}
        for edge in self.manifest.edges:
            source, _, target = edge.edge_type
            start, stop = own[target]
            everything = HopRequest(edge.edge_type, np.arange(stop - start), -1)
            hops[edge.edge_type] = self._hops([everything], 0)[0]
            sources_by_type[source].append(hops[edge.edge_type].sources)
        nodes = LocalNodes(own, sources_by_type)
        targets, sources, keys = [], [], []
        for number, ((source, _, target), hop) in enumerate(hops.items()):
            rows = np.repeat(hop.rows, np.diff(hop.offsets))
            targets.append(nodes.numbers(target, rows + own[target][0]))
            sources.append(nodes.numbers(source, hop.sources))
            keys.append(hop.edge_ids + (number << TYPE_SHIFT))
        # Sorted by target, then by edge type, as DGL's typed sampler takes for granted.
        order = np.argsort(joined(targets), kind="stable")
        arrays = {
            "indptr": starts_of(np.bincount(joined(targets), minlength=nodes.count)),
            "sources": joined(sources)[order],
            "edges": order,
            "node_ids": nodes.ids(),
            "edge_keys": joined(keys),
        }
        for name, values in arrays.items():
            create_rows(self._place, self._table_name(name), (len(values), 1), "<i8")[:, 0] = values
        self._csc.clear()  # of hidden types: bytes that only sampling in numpy needs
        offsets: list[int] = starts_of([len(hop.sources) for hop in hops.values()]).tolist()
        return offsets


class MessageGraph:
    """DGL's graph over the tables, without a copy.

    inner: number of the first own node of each type. offsets: see DglPartition.
    """

    def __init__(
        self, edge_types: Sequence[EdgeType], inner: dict[NodeType, int], offsets: list[int], tables: dict[str, Any]
    ) -> None:
        import torch

        self._dgl, self._torch = require_dgl("launch.store: dgl"), torch
        self.edge_types, self._inner, self._offsets = list(edge_types), inner, offsets
        self._number = {t: i for i, t in enumerate(self.edge_types)}
        self._node_ids, self._edge_keys = tables["node_ids"], tables["edge_keys"]
        csc = tuple(torch.from_numpy(tables[name]) for name in ("indptr", "sources", "edges"))
        self._graph = self._dgl.graph(("csc", csc), num_nodes=len(self._node_ids))

    def hops(self, requests: Sequence[HopRequest], seed: int) -> list[Hop]:
        """One hop per request, drawn by DGL from a seed: the same again from the same one, with as many threads."""
        self._dgl.seed(seed % SEEDS)
        hops = [Hop.empty()] * len(requests)
        for chosen in together(requests):
            fanouts = self._torch.zeros(len(self.edge_types), dtype=self._torch.int64)
            for i in chosen:
                fanouts[self._number[requests[i].edge_type]] = requests[i].fanout
            first = requests[chosen[0]]
            if not len(first.rows) or not len(self._edge_keys):
                continue
            sources, rows, keys = self._sample(first.edge_type[2], first.rows, fanouts)
            types = keys >> TYPE_SHIFT
            for i in chosen:
                of_type = np.flatnonzero(types == self._number[requests[i].edge_type])
                hops[i] = _hop(first.rows, rows[of_type], sources[of_type], keys[of_type])
        return hops

    def _sample(self, target: NodeType, rows: IntArray, fanouts: Any) -> tuple[IntArray, IntArray, IntArray]:
        """(source ids, target rows, keys) of the drawn edges, in the order of `rows`."""
        seeds = self._torch.from_numpy(rows + self._inner[target])
        drawn = self._dgl.sampling.sample_etype_neighbors(
            self._graph, seeds, self._offsets, fanouts, etype_sorted=True, _dist_training=True
        )
        sources, targets = drawn.edges()
        keys = self._edge_keys[drawn.edata[self._dgl.EID].numpy()]
        return self._node_ids[sources.numpy()], targets.numpy() - self._inner[target], keys


def together(requests: Sequence[HopRequest]) -> list[list[int]]:
    """Which requests can be drawn in one go: those into the same target rows by different edge types."""
    groups: list[list[int]] = []
    for i, request in enumerate(requests):
        for group in groups:
            first, taken = requests[group[0]], {requests[j].edge_type for j in group}
            same = first.edge_type[2] == request.edge_type[2] and np.array_equal(first.rows, request.rows)
            if same and request.edge_type not in taken:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def _hop(asked: IntArray, rows: IntArray, sources: IntArray, keys: IntArray) -> Hop:
    """Edges of one type, grouped by target in the order of the rows that were asked for."""
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    order = np.argsort(asked)
    at = order[np.searchsorted(asked, rows[begins], sorter=order)]
    return Hop(at, np.append(begins, len(rows)), sources, keys & ((1 << TYPE_SHIFT) - 1))
