"""A graph whose partitions lie on several hosts: this host's is read from files, the others' from their servers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.partition_reader import DEGREES, HIDDEN, Column, HiddenEdges, Part, Partition
from graphstorm_like.graph.partitioned_graph import KeptRows, PartitionedGraph
from graphstorm_like.graph.remote.client import Client, Connection
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.remote.encoding import may_lose
from graphstorm_like.graph.remote.hot_rows import HotRows, opened
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import graph_mark, open_call
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.shared import made_once
from graphstorm_like.graph.store import ExcludedEdges, IntArray, NodeType, type_name
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.pending import Pending


class RemoteGraph(PartitionedGraph):
    """Partition p belongs to host p. See PartitionedGraph for the rest."""

    def __init__(
        self,
        folder: str | Path,
        hide: Collection[EdgeType] | Mapping[EdgeType, str | None],
        held_out: ExcludedEdges | None,
        cluster: Cluster,
        which_server: int = 0,
        draw_by: str | None = None,
    ) -> None:
        path, manifest = Path(folder), read_manifest(folder)
        self._cluster, self._which, self.here = cluster, which_server, cluster.host
        if len(manifest.partitions) != cluster.hosts:
            raise LaunchError(
                f"{folder}: must have a partition for each of {cluster.hosts} hosts (got {len(manifest.partitions)}). "
                f"Set graph.partitions.count, or run gsl partition"
            )
        verify_graph(path, manifest, [cluster.host])  # servers check the partitions that they serve
        self._flush: Callable[[], None]
        super().__init__(path, manifest, hide, held_out, partial(self._open_parts, path, manifest), draw_by)
        self._own = self.parts[self.here]
        self._hot: dict[Column, HotRows] = {}
        self._hot_from: tuple[str, dict[NodeType, list[Column]]] | None = None

    def _open_parts(self, path: Path, manifest: GraphManifest, hidden: HiddenEdges) -> list[Part]:
        """This host's partition from its files, the others' by connections."""
        cluster = self._cluster
        connections: dict[int, Connection] = {}
        for host, servers in enumerate(cluster.servers):
            if host != cluster.host:
                address, hello = servers[self._which % len(servers)], open_call(manifest, host, hidden)
                connections[host] = Connection(address, cluster.credentials, hello, cluster.timeout_seconds)
        self.client = Client(list(connections.values()))
        self._flush = self.client.flush
        parts: list[Part] = []
        for host in range(cluster.hosts):
            if host in connections:
                parts.append(RemotePart(self.client, connections[host], cluster.wire))
            else:
                parts.append(Partition(path, manifest, host, hidden, cluster.shm))
        return parts

    def use_hot_rows(self, name: str, columns: Mapping[NodeType, Sequence[Column]]) -> None:
        """From now on, read what `hot_rows.fill` has kept under a name from this host's shared memory."""
        self._hot = opened(self._cluster.shm, name, columns)
        self._hot_from = (name, {node_type: list(of_type) for node_type, of_type in columns.items()})

    def kept(self, part: int, column: Column, ids: IntArray) -> KeptRows | None:
        """See PartitionedGraph. Rows of this host are copied once, from the memory map to their place in the result."""
        if part != self.here:
            hot = self._hot.get(column)
            return None if hot is None else hot.find(ids)
        assert isinstance(self._own, Partition)
        found = self._own.places(column, ids - self.starts(column[0])[part])
        return None if found is None else KeptRows(np.ones(len(ids), dtype=bool), *found)

    def send(self) -> None:
        """See PartitionedGraph."""
        self._flush()

    def column(self, column: Column) -> npt.NDArray[Any]:
        """See PartitionedGraph. The processes of a host share one copy of what does not depend on hidden edges."""
        if column[1] in (DEGREES, HIDDEN) or may_lose(column):
            return super().column(column)
        return self.once(f"{type_name(column[0])}:{column[1]}", lambda: PartitionedGraph.column(self, column))

    def edge_rows(self, edge_type: EdgeType, split: str) -> IntArray:
        """See GraphStore. One copy a host."""
        name = f"{type_name(edge_type)}:in {split}"
        return self.once(name, lambda: PartitionedGraph.edge_rows(self, edge_type, split))

    def once(self, name: str, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """See PartitionedGraph."""
        return made_once(self._cluster.shm, f"once:{graph_mark(self.manifest)}:{name}", make)

    def answers(self, pending: Mapping[int, Pending[Any]]) -> list[Any]:
        """The other hosts work on their requests while this host works on its own."""
        self._flush()
        own_answer = pending[self.here].wait() if self.here in pending else None
        return [own_answer if p == self.here else each.wait() for p, each in pending.items()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Sampler processes open their own connections."""
        facts = (self.folder, self.hide, self.held_out, self._cluster, self._which, self.draw_by, self._hot_from)
        return (_copied, facts)


def _copied(
    folder: Path,
    hide: Mapping[EdgeType, str | None],
    held_out: ExcludedEdges,
    where: Cluster,
    which_server: int,
    draw_by: str | None,
    hot_from: tuple[str, dict[NodeType, list[Column]]] | None,
) -> RemoteGraph:
    graph = RemoteGraph(folder, hide, held_out, where, which_server, draw_by)
    if hot_from is not None:
        graph.use_hot_rows(*hot_from)
    return graph
