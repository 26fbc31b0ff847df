"""Questions to servers: gathered until somebody waits for an answer, then one message a server.

A batch of mini-batch sampling thus costs a message and an answer per layer and host, and one for all of its rows.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.graph.remote.wire import Arrays, Call, Message, Session, open_session

CONNECT_SECONDS = 60.0


class Ticket:
    """A place for an answer."""

    __slots__ = ("answer", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.answer: tuple[Call, Arrays] | None = None


class Connection:
    """To one server. At most one message is on its way, so that neither side can block the other."""

    def __init__(self, address: tuple[str, int], secret: bytes, hello: tuple[Call, Arrays], timeout: float) -> None:
        self.address, self.timeout = address, timeout
        self._secret, self._hello = secret, hello
        self._session: Session | None = None
        self._pid = -1
        self._queue: Message = Message()
        self._queued: list[Ticket] = []
        self._waiting: list[Ticket] = []

    def ask(self, call: Call, arrays: Sequence[Any]) -> Ticket:
        """Queue a question."""
        self._check_process()
        ticket = Ticket(self)
        self._queue.add(call, arrays)
        self._queued.append(ticket)
        return ticket

    def flush(self) -> None:
        """Send what is queued."""
        if not self._queued:
            return
        while self._waiting:
            self.receive()
        try:
            self._connected().send(self._queue)
        except OSError as err:
            raise self._lost(err) from err
        self._waiting, self._queued, self._queue = self._queued, [], Message()

    def receive(self) -> None:
        """Wait for the answer to the message that is on its way."""
        assert self._session is not None
        try:
            answer = self._session.receive()
        except OSError as err:
            raise self._lost(err) from err
        if answer is None:
            raise self._lost(ConnectionError("it closed the connection"))
        for ticket, call, arrays in zip(self._waiting, answer.calls, answer.arrays, strict=True):
            ticket.answer = (call, arrays)
        self._waiting = []

    def _check_process(self) -> None:
        """A forked sampler process has a connection of its own."""
        if self._pid != os.getpid():
            self._session, self._pid = None, os.getpid()
            self._queue, self._queued, self._waiting = Message(), [], []

    def _connected(self) -> Session:
        if self._session is None:
            raw = connect(self.address, CONNECT_SECONDS)
            raw.settimeout(self.timeout)
            self._session = open_session(raw, self._secret)
            hello = Message()
            hello.add(*self._hello)
            self._session.send(hello)
            first = self._session.receive()
            if first is None or "error" in first.calls[0]:
                raise LaunchError(f"{self.name}: must take this job's graph ({first and first.calls[0]['error']})")
        return self._session

    def _lost(self, err: OSError) -> LaunchError:
        if isinstance(err, TimeoutError):
            return LaunchError(
                f"{self.name}: must answer within {self.timeout:g} s. Is its host up and the network between? Raise "
                f"launch.timeout_seconds if it is only slow"
            )
        return LaunchError(f"{self.name}: must stay connected ({err}). Its log says why it ended")

    @property
    def traffic(self) -> tuple[int, int]:
        """(messages, bytes) of this connection so far, both ways."""
        return (0, 0) if self._session is None else (self._session.frames, self._session.bytes)

    @property
    def name(self) -> str:
        """For people."""
        return f"graph server {self.address[0]}:{self.address[1]}"


def connect(address: tuple[str, int], seconds: float) -> socket.socket:
    """A connected socket; tries until a server listens. LaunchError when none does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            raw = socket.create_connection(address, timeout=max(deadline - time.monotonic(), 0.1))
            break
        except OSError as err:
            if time.monotonic() >= deadline:
                raise LaunchError(
                    f"graph server {address[0]}:{address[1]}: must be reachable within {seconds:g} s ({err})"
                ) from None
            time.sleep(0.05)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return raw


class Client:
    """The connections of a process: one to each other host, to one of its servers."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self.connections = connections

    @property
    def traffic(self) -> tuple[int, int]:
        """(messages, bytes) with all servers so far, both ways."""
        messages, size = zip(*(c.traffic for c in self.connections), strict=True)
        return sum(messages), sum(size)

    def result(self, ticket: Ticket) -> Arrays:
        """The arrays of an answer. All that is queued, for any server, goes out before the wait."""
        while ticket.answer is None:
            for connection in self.connections:
                connection.flush()
            if ticket.answer is None:
                ticket.connection.receive()
        call, arrays = ticket.answer
        if "error" in call:
            raise DataError(f"{ticket.connection.name}: {call['error']}")
        return arrays
