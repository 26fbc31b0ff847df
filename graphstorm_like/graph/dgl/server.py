"""The process that serves a host's partition through DGL: `dgl.distributed.rpc_server` receives questions one by one,
and gives them to `GraphAnswers`."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.errors import GslError, LaunchError
from graphstorm_like.graph.dgl.message_graph import DglPartition, view_of
from graphstorm_like.graph.dgl.rpc import NET, Call, addresses, prepared
from graphstorm_like.graph.dgl.trust import check_addresses, check_packages
from graphstorm_like.graph.partition_reader import HiddenEdges
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.verify import verify_graph

log = logging.getLogger("gsl.server")
PIECE_BYTES = 1 << 26
"""Bytes of a whole column that one answer holds."""


def serve(folder: Path, cluster: Cluster, index: int, clients: int) -> None:
    """Serve this host's partition until the process is ended. index: which of its host's servers this is; clients: how
    many trainers will connect, for none is answered before all have.

    Raises LaunchError where `trust` does not allow it, and when DGL cannot listen.
    """
    check_packages()
    check_addresses(address for address, _ in addresses(cluster))
    answers = GraphAnswers(folder, cluster.host, cluster.shm)
    number = sum(len(of_host) for of_host in cluster.servers[: cluster.host]) + index
    distributed = prepared(cluster)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        distributed.rpc_server.start_server(number, "", 1, clients, answers, net_type=NET)


class GraphAnswers:
    """What DGL calls the state of a server: a partition, with the edges hidden that a trainer's graph hides."""

    keep_alive = False
    """DGL's: whether it waits for other trainers after these."""

    def __init__(self, folder: Path, host: int, shm: Path) -> None:
        self.folder, self.host, self.shm = folder, host, shm
        self.manifest = read_manifest(folder)
        verify_graph(folder, self.manifest, [host])
        self._views: dict[str, DglPartition] = {}
        self._calls: dict[str, Callable[..., Sequence[Any]]] = {
            "hops": _hops,
            "rows": _rows,
            "ragged": _ragged,
            "column": _column,
        }

    def answer(self, call: Call, arrays: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """(error or '', arrays) for one call: (view, what, its arguments)."""
        view, what, *arguments = call
        try:
            if what == "open":
                self._open(view, arrays, *arguments)
                return "", ()
            return "", self._calls[what](self._views[view], arrays, *arguments)
        except GslError as err:
            return str(err), ()
        except Exception as err:  # a call that fails must not end the others
            log.exception("no answer to %.200r", call)
            return f"{type(err).__name__}: {err}", ()

    def _open(self, view: str, arrays: Sequence[Any], columns: Any, types: Any) -> None:
        """columns: (edge type, split column) of edges hidden by split; types: the edge types of those hidden by their
        ends, which are the arrays."""
        ends = {edge_type: (arrays[2 * i], arrays[2 * i + 1]) for i, edge_type in enumerate(types)}
        hidden = HiddenEdges(dict(columns), ends)
        if view != view_of(self.manifest, hidden):
            raise LaunchError(
                f"{self.folder}: must be the trainers' graph (its files differ). Copy it to this host again"
            )
        if view not in self._views:
            self._views[view] = DglPartition(self.folder, self.manifest, self.host, hidden, self.shm)


def open_call(view: str, hidden: HiddenEdges) -> tuple[Call, list[Any]]:
    """The call and arrays that GraphAnswers opens a view by."""
    columns = tuple(sorted(hidden.columns.items()))
    return (view, "open", columns, tuple(hidden.ends)), [end for ends in hidden.ends.values() for end in ends]


def _hops(partition: DglPartition, arrays: Sequence[Any], seed: int, asked: Any) -> Sequence[Any]:
    """asked: (edge type, fanout, which array has the target rows) for each hop."""
    requests = [HopRequest(edge_type, arrays[which], fanout) for edge_type, fanout, which in asked]
    hops = partition.begin_hops(requests, seed).wait()
    return [a for hop in hops for a in (hop.rows, hop.offsets, hop.sources, hop.edge_ids)]


def _rows(partition: DglPartition, arrays: Sequence[Any], row_type: Any, name: str) -> Sequence[Any]:
    return [partition.begin_rows((row_type, name), arrays[0]).wait()]


def _ragged(partition: DglPartition, arrays: Sequence[Any], row_type: Any, name: str, values: bool) -> Sequence[Any]:
    ragged = partition.begin_ragged((row_type, name), arrays[0], values).wait()
    return [ragged.item_of_row, ragged.items, ragged.starts, ragged.sizes, ragged.values]


def _column(partition: DglPartition, _: Sequence[Any], row_type: Any, name: str, start: int) -> Sequence[Any]:
    """A piece of the column from a row on, and the number of all rows."""
    whole = partition.column((row_type, name))
    rows = max(PIECE_BYTES * len(whole) // max(whole.nbytes, 1), 1)
    return [whole[start : start + rows], np.int64(len(whole))]
