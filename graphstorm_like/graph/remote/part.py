"""A partition of another host, read over a connection. The calls are those that `server.answer_call` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.partition_reader import Column
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.remote.client import Client, Connection
from graphstorm_like.graph.remote.cluster import EXACT
from graphstorm_like.graph.remote.encoding import hops_of, may_lose, narrow, rows_of
from graphstorm_like.graph.shared import Ragged
from graphstorm_like.graph.store import Hop, IntArray
from graphstorm_like.pending import Pending


class RemotePart:
    """See Part."""

    def __init__(self, client: Client, connection: Connection, wire: str = EXACT) -> None:
        self._client, self._connection, self._wire = client, connection, wire

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """See Part."""
        with_rows = [i for i, r in enumerate(requests) if len(r.rows)]
        no_edges = Hop.empty()
        if not with_rows:
            return Pending(lambda: [no_edges] * len(requests))
        asked = [requests[i] for i in with_rows]
        rows = {id(request.rows): request.rows for request in asked}
        bounds = {id(request.bounds): request.bounds for request in asked if request.bounds is not None}
        place_of = {key: place for place, key in enumerate([*rows, *bounds])}
        call = {"do": "hops", "seed": seed, "of": [_of_request(request, place_of) for request in asked]}
        ticket = self._connection.ask(call, [*map(narrow, rows.values()), *bounds.values()])

        def receive() -> list[Hop]:
            hops = [no_edges] * len(requests)
            for i, hop in zip(with_rows, hops_of(self._client.result(ticket)), strict=True):
                hops[i] = hop
            return hops

        return Pending(receive)

    def begin_rows(self, column: Column, rows: IntArray) -> Pending[Any]:
        """See Part."""
        call = {"do": "rows", "column": _json(column), "wire": self._wire if may_lose(column) else EXACT}
        ticket = self._connection.ask(call, [narrow(rows)])
        return Pending(lambda: rows_of(self._client.result(ticket)))

    def begin_ragged(self, column: Column, rows: IntArray, values: bool) -> Pending[Ragged]:
        """See Part."""
        ticket = self._connection.ask({"do": "ragged", "column": _json(column), "values": values}, [narrow(rows)])
        return Pending(lambda: Ragged(*self._client.result(ticket)))

    def column(self, column: Column) -> Any:
        """See Part. In pieces, so that no message is too large for the network."""
        pieces: list[Any] = []
        start, total = 0, -1
        while start != total:
            call = {"do": "column", "column": _json(column), "start": start}
            piece, count = self._client.result(self._connection.ask(call, []))
            pieces.append(piece)
            start, total = start + len(piece), int(count)
        return pa.concat_arrays(pieces) if isinstance(pieces[0], pa.Array) else np.concatenate(pieces)


def _of_request(request: HopRequest, place_of: Mapping[int, int]) -> list[Any]:
    """[edge type, fanout, which array are its rows], and with bounds which are these, and what of the past."""
    written: list[Any] = [list(request.edge_type), request.fanout, place_of[id(request.rows)]]
    if request.bounds is not None:
        written += [place_of[id(request.bounds)], [request.past.latest, request.past.window, request.past.strict]]
    return written


def _json(column: Column) -> list[Any]:
    row_type, name = column
    return [row_type if isinstance(row_type, str) else list(row_type), name]
