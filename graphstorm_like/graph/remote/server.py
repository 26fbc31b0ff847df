"""The process that answers for a host's partition. A thread a connection; what is read are memory maps.

A stranger costs a thread for at most HANDSHAKE_SECONDS and learns nothing; how many trainers connect is nobody's
business, so there is no slot that one could take.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphstorm_like.errors import GslError, LaunchError
from graphstorm_like.graph.partition import Column, HiddenEdges, HopRequest, Partition
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.graph.remote.wire import Arrays, Call, Message, Session, accept_session
from graphstorm_like.graph.schema import GraphManifest, read_manifest

log = logging.getLogger("gsl.server")
HANDSHAKE_SECONDS, MAX_STRANGERS = 10.0, 64


class GraphServer:
    """Serves partition `host` of a graph folder at an address, until `stop`."""

    def __init__(self, folder: Path, host: int, shm: Path, address: tuple[str, int], secret: bytes) -> None:
        check_private(address[0])
        self.folder, self.host, self.shm, self.secret = folder, host, shm, secret
        self.manifest: GraphManifest = read_manifest(folder)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(address)
        except OSError as err:
            raise LaunchError(f"graph server {address[0]}:{address[1]}: must be able to listen there ({err})") from err
        self._listener.listen(256)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._strangers = threading.BoundedSemaphore(MAX_STRANGERS)
        self._views: dict[bytes, Partition] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def serve(self) -> None:
        """Accept connections until `stop` is called from another thread or a signal handler."""
        while True:
            try:
                connection, peer = self._listener.accept()
            except OSError as err:
                if self._stopping:
                    return
                raise LaunchError(f"graph server {self.address}: cannot accept connections ({err})") from err
            if not self._strangers.acquire(blocking=False):
                connection.close()  # too many that have not said who they are; ours try again
                continue
            threading.Thread(target=self._connection, args=(connection, peer[0]), daemon=True).start()

    def stop(self) -> None:
        """End `serve`."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connection(self, connection: socket.socket, peer: str) -> None:
        with connection:
            try:
                try:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection.settimeout(HANDSHAKE_SECONDS)
                    session = accept_session(connection, self.secret)
                finally:
                    self._strangers.release()
                if session is None:
                    log.warning("refused %s: it does not know the job's secret", peer)
                    return
                connection.settimeout(None)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                self._answer(session)
            except LaunchError as err:
                log.warning("dropped %s: %s", peer, err)
            except OSError as err:
                log.info("lost %s: %s", peer, err)

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
                        answer.add({"error": "the first question must be 'open'"})
                    else:
                        answer.add({}, answer_call(partition, call, arrays))
                except (GslError, IndexError, KeyError, ValueError, TypeError) as err:
                    answer.add({"error": f"{type(err).__name__}: {err}"})
            session.send(answer)

    def _open(self, call: Call, arrays: Arrays) -> Partition:
        """The partition with some edges hidden, which connections that hide the same share: threads may fill its caches
        twice, but only with the same."""
        if call["graph"] != graph_mark(self.manifest):
            raise LaunchError(
                f"{self.folder}: must be the trainers' graph (its files differ). Copy it anew to this host"
            )
        key = blake2b(digest_size=16)
        key.update(repr(call["columns"]).encode())
        for array in arrays:
            key.update(array)
        with self._lock:
            if key.digest() not in self._views:
                hidden = hidden_from(call, arrays)
                self._views[key.digest()] = Partition(self.folder, self.manifest, self.host, hidden, self.shm)
            return self._views[key.digest()]


def graph_mark(manifest: GraphManifest) -> str:
    """Short hash of a graph folder's contents."""
    return blake2b(repr(sorted(manifest.hashes.items())).encode(), digest_size=12).hexdigest()


def open_call(manifest: GraphManifest, hidden: HiddenEdges) -> tuple[Call, Arrays]:
    """The first question of a connection: which graph, and which of its edges are no messages."""
    columns = [[list(t), column] for t, column in sorted(hidden.columns.items())]
    call = {"do": "open", "graph": graph_mark(manifest), "columns": columns, "ends": [list(t) for t in hidden.ends]}
    return call, [end for ends in hidden.ends.values() for end in ends]


def hidden_from(call: Call, arrays: Arrays) -> HiddenEdges:
    """What `open_call` has written down."""
    ends = {tuple(t): (arrays[2 * i], arrays[2 * i + 1]) for i, t in enumerate(call["ends"])}
    return HiddenEdges({tuple(t): column for t, column in call["columns"]}, ends)


def answer_call(partition: Partition, call: Call, arrays: Arrays) -> Sequence[Any]:
    """Arrays of the answer."""
    match call["do"]:
        case "hops":
            requests = [
                HopRequest(tuple(edge_type), rows, fanout)
                for (edge_type, fanout), rows in zip(call["of"], arrays, strict=True)
            ]
            hops = partition.begin_hops(requests, int(call["seed"]))()
            return [a for hop in hops for a in (hop.rows, hop.offsets, hop.sources, hop.edge_ids)]
        case "rows":
            return [partition.begin_rows(_column(call), arrays[0])()]
        case "column":
            return [partition.column(_column(call))[call["start"] : call["stop"]]]
        case other:
            raise ValueError(f"unknown question '{other}'")


def _column(call: Call) -> Column:
    row_type, name = call["column"]
    return (row_type if isinstance(row_type, str) else tuple(row_type), name)
