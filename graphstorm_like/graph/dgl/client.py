"""A trainer's connection to DGL's servers. DGL allows a process one, and its servers know their clients from the start.

Questions are queued until somebody waits for an answer, then sent as one message to each server.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import time
from collections.abc import Sequence
from typing import Any

from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.graph.dgl.rpc import NET, Answer, Call, Question, addresses, packed, prepared, unpack
from graphstorm_like.graph.dgl.trust import check_addresses, check_packages
from graphstorm_like.graph.remote.cluster import Cluster

SLICE_MILLISECONDS = 200


class Ticket:
    """Holds the answer to a question once it has arrived: (error or '', arrays)."""

    __slots__ = ("answer", "server")

    def __init__(self, server: int) -> None:
        self.server = server
        self.answer: tuple[str, list[Any]] | None = None


class DglClient:
    """See module. Connects at once; waits until all trainers have connected."""

    def __init__(self, cluster: Cluster, which_server: int) -> None:
        check_packages()
        self._names = addresses(cluster)
        check_addresses(address for address, _ in self._names)
        self._seconds = cluster.timeout_seconds
        self._pid = os.getpid()
        self._server_of_host, first = [], 0
        for of_host in cluster.servers:
            self._server_of_host.append(first + which_server % len(of_host))
            first += len(of_host)
        self._queue: dict[int, list[tuple[Ticket, Call, Sequence[Any]]]] = {}
        """By server: what is to be sent."""
        self._sent: dict[int, list[Ticket]] = {}
        """By message: whose answers are awaited."""
        self._rpc = self._connect(cluster)

    def _connect(self, cluster: Cluster) -> Any:
        """Join the servers. DGL waits for the other trainers without a limit, and lets no thread of Python run
        meanwhile: after the timeout faulthandler, which is written in C, shows where, and ends the process."""
        distributed = prepared(cluster)
        faulthandler.dump_traceback_later(self._seconds, exit=True)
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                distributed.rpc_client.connect_to_server("", 1, net_type=NET)
        except distributed.rpc.DistConnectError as err:
            raise LaunchError(
                f"DGL's servers: must be reachable within {self._seconds:g} s ({err}). Are their hosts and the network "
                f"up?"
            ) from None
        finally:
            faulthandler.cancel_dump_traceback_later()
        atexit.unregister(distributed.dist_context.exit_client)  # it would wait for the other trainers
        return distributed.rpc

    def ask(self, host: int, call: Call, arrays: Sequence[Any]) -> Ticket:
        """Queue a question to a server of a host."""
        if self._pid != os.getpid():
            raise LaunchError("launch.store: dgl cannot be asked by sampler processes. Set train.workers: 0")
        ticket = Ticket(self._server_of_host[host])
        self._queue.setdefault(ticket.server, []).append((ticket, call, arrays))
        return ticket

    def flush(self) -> None:
        """Send everything that is queued."""
        queues, self._queue = self._queue, {}
        for server, queued in queues.items():
            plain, tensors = [], []
            for _, call, arrays in queued:
                described, of_call = packed(arrays)
                plain.append((call, described))
                tensors += of_call
            (message,) = self._rpc.send_requests_to_machine([(server, Question(tuple(plain), tensors))])
            self._sent[message] = [ticket for ticket, _, _ in queued]

    def result(self, ticket: Ticket) -> list[Any]:
        """The arrays of an answer. Everything that is queued, for every server, is sent before the wait."""
        while ticket.answer is None:
            self.flush()
            self._receive(ticket)
        error, arrays = ticket.answer
        if error:
            raise DataError(f"{self._name(ticket)}: {error}")
        return arrays

    def _receive(self, waiting: Ticket) -> None:
        deadline = time.monotonic() + self._seconds
        # In slices: no thread and no signal handler of Python runs while DGL waits.
        while (message := self._rpc.recv_rpc_message(SLICE_MILLISECONDS)) is None:
            if time.monotonic() < deadline:
                continue
            raise LaunchError(
                f"{self._name(waiting)}: must answer within {self._seconds:g} s. Are its host and the network up? "
                f"Raise launch.timeout_seconds if it is only slow"
            )
        answer = self._rpc.deserialize_from_payload(Answer, message.data, message.tensors)
        tickets = self._sent.pop(message.msg_seq)
        for ticket, part in zip(tickets, unpack(answer.plain, answer.tensors), strict=True):
            ticket.answer = part

    def _name(self, ticket: Ticket) -> str:
        return "DGL's server {}:{}".format(*self._names[ticket.server])


_client: DglClient | None = None


def connected(cluster: Cluster, which_server: int) -> DglClient:
    """This process's client: the first call connects it."""
    global _client
    if _client is None:
        _client = DglClient(cluster, which_server)
    return _client
