"""A graph whose partitions DGL's servers serve: neighbours are drawn by DGL on every host, this one included; columns
of this host are read from its files and shared memory, as by the own store, those of other hosts from their servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.dgl.client import DglClient, connected
from graphstorm_like.graph.dgl.message_graph import DglPartition, together, view_of
from graphstorm_like.graph.dgl.server import open_call
from graphstorm_like.graph.partition_reader import Column, HiddenEdges, Part
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.shared import Ragged
from graphstorm_like.graph.store import Hop
from graphstorm_like.pending import Pending


class DglGraph(RemoteGraph):
    """See RemoteGraph, whose other hosts are asked through DGL here."""

    samples_by_time = False

    def _open_parts(self, path: Path, manifest: GraphManifest, hidden: HiddenEdges) -> list[Part]:
        cluster, view = self._cluster, view_of(manifest, hidden)
        self.questions = connected(cluster, self._which)
        self._flush = self.questions.flush
        parts: list[Part] = []
        for host in range(cluster.hosts):
            if host == cluster.host:
                parts.append(DglPartition(path, manifest, host, hidden, cluster.shm))
            else:
                self.questions.result(self.questions.ask(host, *open_call(view, hidden)))
                parts.append(RemoteDglPart(self.questions, host, view))
        return parts

    def __reduce__(self) -> tuple[Any, ...]:
        raise LaunchError("launch.store: dgl cannot be read by other processes. Set train.workers: 0")


class RemoteDglPart:
    """See Part. view: which of its message graphs."""

    def __init__(self, client: DglClient, host: int, view: str) -> None:
        self._client, self._host, self._view = client, host, view

    def _ask(self, what: str, arguments: tuple[Any, ...], arrays: Sequence[Any]) -> Pending[list[Any]]:
        ticket = self._client.ask(self._host, (self._view, what, *arguments), arrays)
        return Pending(lambda: self._client.result(ticket))

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """See Part. Target rows that several edge types share travel once."""
        groups = [group for group in together(requests) if len(requests[group[0]].rows)]
        asked, numbers = [], []
        for which, group in enumerate(groups):
            numbers += group
            asked += [(requests[i].edge_type, requests[i].fanout, which) for i in group]
        if not asked:
            return Pending(lambda: [Hop.empty()] * len(requests))
        pending = self._ask("hops", (seed, tuple(asked)), [requests[group[0]].rows for group in groups])

        def receive() -> list[Hop]:
            arrays = pending.wait()
            hops = [Hop.empty()] * len(requests)
            for n, i in enumerate(numbers):
                hops[i] = Hop(*arrays[4 * n : 4 * n + 4])
            return hops

        return Pending(receive)

    def begin_rows(self, column: Column, rows: Any) -> Pending[Any]:
        """See Part."""
        return self._ask("rows", column, [rows]).then(lambda arrays: arrays[0])

    def begin_ragged(self, column: Column, rows: Any, values: bool) -> Pending[Ragged]:
        """See Part."""
        return self._ask("ragged", (*column, values), [rows]).then(lambda arrays: Ragged(*arrays))

    def column(self, column: Column) -> Any:
        """See Part. In pieces, so that no message is too large for the network."""
        pieces: list[Any] = []
        start, total = 0, -1
        while start != total:
            piece, count = self._ask("column", (*column, start), []).wait()
            pieces.append(piece)
            start, total = start + len(piece), int(count)
        return pa.concat_arrays(pieces) if isinstance(pieces[0], pa.Array) else np.concatenate(pieces)
