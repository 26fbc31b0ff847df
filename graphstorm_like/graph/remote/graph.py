"""A graph whose partitions lie on several hosts: this host's is read from files, the others' from their servers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from graphstorm_like.config.base import EdgeType
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.partition_reader import HiddenEdges, Part, Partition
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.remote.client import Client, Connection
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import open_call
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.store import ExcludedEdges
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.pending import Pending


class RemoteGraph(PartitionedGraph):
    """Partition p belongs to host p. See PartitionedGraph for `hide` and `held_out`."""

    def __init__(
        self,
        folder: str | Path,
        hide: Collection[EdgeType] | Mapping[EdgeType, str | None],
        held_out: ExcludedEdges | None,
        cluster: Cluster,
        which_server: int = 0,
    ) -> None:
        path, manifest = Path(folder), read_manifest(folder)
        self._cluster, self._which = cluster, which_server
        if len(manifest.partitions) != cluster.hosts:
            raise LaunchError(
                f"{folder}: must have a partition for each of {cluster.hosts} hosts (got {len(manifest.partitions)}). "
                f"Set graph.partitions.count, or run gsl partition"
            )
        verify_graph(path, manifest, [cluster.host])  # servers check the partitions that they serve

        def open_parts(hidden: HiddenEdges) -> list[Part]:
            connections: dict[int, Connection] = {}
            for host, servers in enumerate(cluster.servers):
                if host != cluster.host:
                    address, hello = servers[which_server % len(servers)], open_call(manifest, host, hidden)
                    connections[host] = Connection(address, cluster.credentials, hello, cluster.timeout_seconds)
            self.client = Client(list(connections.values()))
            parts: list[Part] = []
            for host in range(cluster.hosts):
                if host in connections:
                    parts.append(RemotePart(self.client, connections[host]))
                else:
                    parts.append(Partition(path, manifest, host, hidden, cluster.shm))
            return parts

        super().__init__(path, manifest, hide, held_out, open_parts)

    def answers(self, pending: Mapping[int, Pending[Any]]) -> list[Any]:
        """The other hosts work on their requests while this host works on its own."""
        self.client.flush()
        host = self._cluster.host
        own_answer = pending[host].wait() if host in pending else None
        return [own_answer if p == host else each.wait() for p, each in pending.items()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Sampler processes open their own connections."""
        return (RemoteGraph, (self.folder, self.hide, self.held_out, self._cluster, self._which))
