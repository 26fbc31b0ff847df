"""The process that serves a host's partition: one thread per connection, reading memory maps.

An unauthenticated connection costs a thread for at most HANDSHAKE_SECONDS and learns nothing. The number of trainers
that connect is not limited, so that strangers cannot take a trainer's place.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.errors import DataError, GslError, LaunchError
from graphstorm_like.graph.partition_reader import Column, HiddenEdges, HopRequest, Partition
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.graph.remote.encoding import EXACT, hop_arrays, row_arrays, wide
from graphstorm_like.graph.remote.wire import Arrays, Call, Message, Session, accept_session, tune
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.verify import verify_graph

log = logging.getLogger("gsl.server")
HANDSHAKE_SECONDS, MAX_STRANGERS = 10.0, 64
"""A connection that has not proved that it knows the secret is closed after so many seconds, or when so many newer ones
wait. Trainers need milliseconds for it, and try again."""
MAX_VIEWS = 4
"""How many views of the partition, with different hidden edges, are kept; the oldest go first. A connection keeps its
own view."""
PIECE_BYTES = 1 << 26
"""Bytes of a whole column that one answer holds."""
ACCEPT_ENDS = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
"""Errors of the listener itself. Others concern one connection, or are temporary (too many open files)."""


class GraphServer:
    """Serves partition `host` of a graph folder at an address, until `stop`."""

    def __init__(self, folder: Path, host: int, shm: Path, address: tuple[str, int], secret: bytes) -> None:
        check_private(address[0])
        self.folder, self.host, self.shm, self.secret = folder, host, shm, secret
        self.manifest: GraphManifest = read_manifest(folder)
        if host < len(self.manifest.partitions):
            verify_graph(folder, self.manifest, [host])
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(address)
        except (OSError, OverflowError) as err:
            self._listener.close()
            raise LaunchError(f"graph server {address[0]}:{address[1]}: must be able to listen there ({err})") from err
        self._listener.listen(256)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._strangers: dict[socket.socket, None] = {}
        """Connections that have not yet proved that they know the secret, oldest first"""
        self._connections: set[socket.socket] = set()
        self._views: dict[bytes, Partition] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def serve(self) -> None:
        """Accept connections until `stop` is called from another thread or a signal handler; then close all."""
        try:
            while not self._stopping:
                try:
                    connection, peer = self._listener.accept()
                except OSError as err:
                    if self._stopping:
                        return
                    if err.errno in ACCEPT_ENDS:
                        raise LaunchError(f"graph server {self.address}: cannot accept connections ({err})") from err
                    log.warning("a connection could not be accepted: %s", err)
                    time.sleep(0.05)
                    continue
                self._start(connection, peer[0])
        finally:
            self._listener.close()
            with self._lock:
                for connection in self._connections:
                    _shut(connection)

    def _start(self, connection: socket.socket, peer: str) -> None:
        with self._lock:
            self._connections.add(connection)
            self._strangers[connection] = None
            if len(self._strangers) > MAX_STRANGERS:
                oldest = next(iter(self._strangers))
                del self._strangers[oldest]
                _shut(oldest)  # its thread ends
        try:
            threading.Thread(target=self._connection, args=(connection, peer), daemon=True).start()
        except RuntimeError as err:
            log.warning("no thread for %s: %s", peer, err)
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._strangers.pop(connection, None)
            self._connections.discard(connection)
            connection.close()

    def stop(self) -> None:
        """End `serve`."""
        self._stopping = True
        _shut(self._listener)

    def _connection(self, connection: socket.socket, peer: str) -> None:
        try:
            tune(connection)
            session = accept_session(connection, self.secret, HANDSHAKE_SECONDS)
            if session is None:
                log.warning("refused %s: it does not know the job's secret", peer)
                return
            with self._lock:
                self._strangers.pop(connection, None)
            connection.settimeout(None)
            self._answer(session)
        except LaunchError as err:
            log.warning("dropped %s: %s", peer, err)
        except OSError as err:
            log.info("lost %s: %s", peer, err)
        finally:
            self._forget(connection)

    def _answer(self, session: Session) -> None:
        partition: Partition | None = None
        while (message := session.receive()) is not None:
            answer = Message()
            for call, arrays in zip(message.calls, message.arrays, strict=True):
                try:
                    if call["do"] == "open":
                        partition = self._open(call, arrays)
                        answer.add({})
                    elif partition is None:
                        answer.add({"error": "the first request must be 'open'"})
                    else:
                        answer.add({}, answer_call(partition, call, arrays))
                except GslError as err:
                    answer.add({"error": str(err)})
                except Exception as err:  # a request that fails must not end the others
                    log.exception("no answer to %.200r", call)
                    answer.add({"error": f"{type(err).__name__}: {err}"})
            try:
                session.send(answer)
            except (TypeError, LaunchError) as err:  # none of it has been sent
                refusal = Message()
                for _ in answer.calls:
                    refusal.add({"error": str(err)})
                session.send(refusal)

    def _open(self, call: Call, arrays: Arrays) -> Partition:
        """The partition with some edges hidden. Connections that hide the same edges share one."""
        if call["host"] != self.host:
            raise LaunchError(f"GSL_SERVERS: must name the server of host {call['host']} (this is host {self.host}'s)")
        if call["graph"] != graph_mark(self.manifest):
            raise LaunchError(
                f"{self.folder}: must be the trainers' graph (its files differ). Copy it to this host again"
            )
        hidden = hidden_from(call, arrays)
        what = blake2b(repr((call["columns"], call["ends"], [len(a) for a in arrays])).encode(), digest_size=16)
        for array in arrays:
            what.update(array)
        key = what.digest()
        with self._lock:
            view = self._views.pop(key, None) or Partition(self.folder, self.manifest, self.host, hidden, self.shm)
            self._views[key] = view  # the newest stands last
            while len(self._views) > MAX_VIEWS:
                del self._views[next(iter(self._views))]
        return view


def _shut(connection: socket.socket) -> None:
    """Wake the thread that waits at a socket."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def graph_mark(manifest: GraphManifest) -> str:
    """Short hash of a graph folder's contents."""
    return blake2b(repr(sorted(manifest.hashes.items())).encode(), digest_size=12).hexdigest()


def open_call(manifest: GraphManifest, host: int, hidden: HiddenEdges) -> tuple[Call, Arrays]:
    """The first request of a connection: which graph, which host's partition, and which of its edges are hidden."""
    columns = [[list(t), column] for t, column in sorted(hidden.columns.items())]
    call = {
        "do": "open",
        "graph": graph_mark(manifest),
        "host": host,
        "columns": columns,
        "ends": [list(t) for t in hidden.ends],
    }
    return call, [end for ends in hidden.ends.values() for end in ends]


def hidden_from(call: Call, arrays: Arrays) -> HiddenEdges:
    """The hidden edges that `open_call` has written."""
    ends = {tuple(t): (arrays[2 * i], arrays[2 * i + 1]) for i, t in enumerate(call["ends"])}
    return HiddenEdges({tuple(t): column for t, column in call["columns"]}, ends)


def answer_call(partition: Partition, call: Call, arrays: Arrays) -> Sequence[Any]:
    """Arrays of the answer."""
    match call["do"]:
        case "hops":
            requests = [
                HopRequest(tuple(edge_type), wide(rows), fanout)
                for (edge_type, fanout), rows in zip(call["of"], arrays, strict=True)
            ]
            hops = partition.begin_hops(requests, int(call["seed"])).wait()
            return [array for hop in hops for array in hop_arrays(hop)]
        case "rows":
            return row_arrays(partition.begin_rows(_column(call), arrays[0]).wait(), call.get("wire", EXACT))
        case "ragged":
            ragged = partition.begin_ragged(_column(call), arrays[0], bool(call["values"])).wait()
            return [ragged.item_of_row, ragged.items, ragged.starts, ragged.sizes, ragged.values]
        case "column":
            whole, start = partition.column(_column(call)), call["start"]
            rows = max(PIECE_BYTES * len(whole) // max(whole.nbytes, 1), 1)
            return [whole[start : start + rows], np.int64(len(whole))]
        case name:
            raise DataError(f"unknown request '{name}'. Are the versions of both sides the same?")


def _column(call: Call) -> Column:
    row_type, name = call["column"]
    return (row_type if isinstance(row_type, str) else tuple(row_type), name)
