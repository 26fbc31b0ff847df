"""The process that serves a host's partition over Arrow Flight: threads of gRPC, reading memory maps.

Whoever does not know the job's secret learns nothing: with TLS no handshake succeeds without a certificate of the job's
own authority, and every call must have the job's token.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import flight

from graphstorm_like.errors import DataError, GslError, LaunchError
from graphstorm_like.graph.partition_reader import Column, HiddenEdges, Partition
from graphstorm_like.graph.past import HopRequest, Past
from graphstorm_like.graph.remote.cluster import EXACT, check_private
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.encoding import hop_arrays, row_arrays, wide
from graphstorm_like.graph.remote.messages import Arrays, Call, Message, from_bytes, to_batches
from graphstorm_like.graph.remote.transport import Service
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.verify import verify_graph

log = logging.getLogger("gsl.server")
MAX_VIEWS = 4
"""How many views of the partition, with different hidden edges, are kept; those not asked for longest go first, and are
opened again by who asks for them."""
_STOP_SECONDS = 2.0
"""How long connections may take to end: Flight waits for each client to agree, and one whose network is away cannot."""
PIECE_BYTES = 1 << 26
"""Bytes of a whole column that one answer holds."""


class _Service(Service):
    """Flight's calls: the action `open`, whose result is the name of a view, a DoGet for each question, and the action
    `ping`, which does nothing."""

    def __init__(self, server: GraphServer, address: tuple[str, int], credentials: Credentials) -> None:
        self._server = server
        super().__init__(address, credentials)

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> list[bytes]:
        """See FlightServerBase."""
        if action.type == "ping":
            return []
        try:
            message = from_bytes(action.body.to_pybytes())
            if action.type != "open" or len(message.calls) != 1:
                raise LaunchError(f"the only action is 'open', with one call (got '{action.type}')")
            return [self._server.open(message.calls[0], message.arrays[0]).encode()]
        except Exception as err:
            log.warning("refused %s: %s", context.peer(), err)
            raise flight.FlightServerError(str(err)) from None

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.RecordBatchStream:
        """See FlightServerBase."""
        try:
            schema, batches = self._server.answer(from_bytes(ticket.ticket))
        except GslError as err:
            log.warning("no answer to %s: %s", context.peer(), err)
            raise flight.FlightServerError(str(err)) from None
        return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(schema, batches))


class GraphServer:
    """Serves partition `host` of a graph folder at an address, from now until `stop`. Raises LaunchError."""

    def __init__(self, folder: Path, host: int, shm: Path, address: tuple[str, int], credentials: Credentials) -> None:
        check_private(address[0])
        self.folder, self.host, self.shm = folder, host, shm
        self.manifest: GraphManifest = read_manifest(folder)
        if host < len(self.manifest.partitions):
            verify_graph(folder, self.manifest, [host])
        self._views: dict[str, Partition] = {}
        """The one that was asked for last stands last"""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._service = _Service(self, address, credentials)
        self.address: tuple[str, int] = (address[0], self._service.port)

    def serve(self) -> None:
        """Wait until `stop` is called from another thread or a signal handler; then end all connections, of which those
        that do not end in time are left."""
        self._stopping.wait()
        ending = threading.Thread(target=self._service.shutdown, daemon=True, name="end of a graph server")
        ending.start()
        ending.join(_STOP_SECONDS)

    def stop(self) -> None:
        """End `serve`."""
        self._stopping.set()

    def open(self, call: Call, arrays: Arrays) -> str:
        """The name of a view: the partition with some edges hidden. Who hides the same edges shares one."""
        if call["host"] != self.host:
            raise LaunchError(f"GSL_SERVERS: must name the server of host {call['host']} (this is host {self.host}'s)")
        if call["graph"] != graph_mark(self.manifest):
            raise LaunchError(
                f"{self.folder}: must be the trainers' graph (its files differ). Copy it to this host again"
            )
        hidden = hidden_from(call, arrays)
        facts = (call["columns"], call["ends"], call.get("draw_by"), [len(a) for a in arrays])
        what = blake2b(repr(facts).encode(), digest_size=16)
        for array in arrays:
            what.update(array)
        name = what.hexdigest()
        with self._lock:
            view = self._views.pop(name, None) or Partition(self.folder, self.manifest, self.host, hidden, self.shm)
            self._views[name] = view
            while len(self._views) > MAX_VIEWS:
                del self._views[next(iter(self._views))]
        return name

    def answer(self, question: Message) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        """The answers to the calls of a message: a call that fails has an error in place of one. Without calls and
        view when the view is not known."""
        with self._lock:
            view = self._views.pop(question.view, None)
            if view is not None:
                self._views[question.view] = view
        if view is None:
            return to_batches(Message())
        answer = Message(view=question.view)
        for call, arrays in zip(question.calls, question.arrays, strict=True):
            try:
                answer.add({}, answer_call(view, call, arrays))
            except GslError as err:
                answer.add({"error": str(err)})
            except Exception as err:  # a request that fails must not end the others
                log.exception("no answer to %.200r", call)
                answer.add({"error": f"{type(err).__name__}: {err}"})
        try:
            return to_batches(answer)
        except TypeError as err:
            refusal = Message(view=question.view)
            for _ in answer.calls:
                refusal.add({"error": str(err)})
            return to_batches(refusal)


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
        "draw_by": hidden.draw_by,
    }
    return call, [end for ends in hidden.ends.values() for end in ends]


def hidden_from(call: Call, arrays: Arrays) -> HiddenEdges:
    """The hidden edges that `open_call` has written."""
    ends = {tuple(t): (arrays[2 * i], arrays[2 * i + 1]) for i, t in enumerate(call["ends"])}
    return HiddenEdges({tuple(t): column for t, column in call["columns"]}, ends, call.get("draw_by"))


def answer_call(partition: Partition, call: Call, arrays: Arrays) -> Sequence[Any]:
    """Arrays of the answer."""
    match call["do"]:
        case "hops":
            requests = [_hop_request(written, arrays) for written in call["of"]]
            return hop_arrays(partition.begin_hops(requests, int(call["seed"])).wait())
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


def _hop_request(written: Sequence[Any], arrays: Arrays) -> HopRequest:
    """[edge type, fanout, array of the rows], and with bounds their array and what of the past."""
    edge_type, fanout, rows, *of_past = written  # edge types into the same nodes share their arrays
    request = HopRequest(tuple(edge_type), wide(arrays[rows]), fanout)
    if not of_past:
        return request
    bounds, past = of_past
    return replace(request, bounds=arrays[bounds], past=Past(*past))


def _column(call: Call) -> Column:
    row_type, name = call["column"]
    return (row_type if isinstance(row_type, str) else tuple(row_type), name)
