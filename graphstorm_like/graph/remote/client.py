"""Requests to servers: queued until somebody waits for an answer, then sent as one message per server.

Sampling a mini-batch thus costs one message and one answer per layer and host, and one more for all of its rows.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.graph.remote.wire import Arrays, Call, Message, Session, open_session, tune

CONNECT_SECONDS = 60.0
"""How long a server may take to start, to listen, and to accept a client while others connect."""
_TRY_SECONDS = 2.0
"""Timeout of one attempt to connect: the kernel retries at ever longer intervals, and would notice late that a network
is back."""


class Ticket:
    """Holds the answer to a request once it has arrived."""

    __slots__ = ("answer", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.answer: tuple[Call, Arrays] | None = None


class Connection:
    """A connection to one server. At most one message is in flight, so that neither side can block the other.

    After an error half a message may be left in the socket: from then on every use raises the same LaunchError.
    """

    def __init__(self, address: tuple[str, int], secret: bytes, hello: tuple[Call, Arrays], timeout: float) -> None:
        self.address, self.timeout = address, timeout
        self._secret, self._hello = secret, hello
        self._session: Session | None = None
        self._pid, self._failed = -1, ""
        self._queue: Message = Message()
        self._queued: list[Ticket] = []
        self._waiting: list[Ticket] = []

    def ask(self, call: Call, arrays: Sequence[Any]) -> Ticket:
        """Queue a request."""
        self._check()
        ticket = Ticket(self)
        self._queue.add(call, arrays)
        self._queued.append(ticket)
        return ticket

    def flush(self) -> None:
        """Send what is queued."""
        self._check_process()
        if not self._queued:
            return
        while self._waiting:
            self.receive()
        with self._guard():
            self._connected().send(self._queue)
        self._waiting, self._queued, self._queue = self._queued, [], Message()

    def receive(self) -> None:
        """Wait for the answer to the message in flight."""
        self._check()
        if self._session is None or not self._waiting:
            raise LaunchError(f"{self.name}: must be asked by the process that waits for the answer")
        with self._guard():
            answer = self._session.receive()
            if answer is None:
                raise ConnectionError("it closed the connection")
            if len(answer.calls) != len(self._waiting):
                raise LaunchError(f"{self.name}: must answer every question (got {len(answer.calls)} answers)")
        for ticket, call, arrays in zip(self._waiting, answer.calls, answer.arrays, strict=True):
            ticket.answer = (call, arrays)
        self._waiting = []

    def close(self) -> None:
        """Close the socket; the next request opens a new one."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._queue, self._queued, self._waiting = Message(), [], []

    def _check_process(self) -> None:
        """A forked sampler process opens its own connection."""
        if self._pid != os.getpid():
            self.close()
            self._pid, self._failed = os.getpid(), ""

    def _check(self) -> None:
        self._check_process()
        if self._failed:
            raise LaunchError(self._failed)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """After any error in here the connection cannot be used again."""
        try:
            yield
        except LaunchError as err:
            self._failed = str(err)
            raise
        except OSError as err:
            self._failed = self._lost(err)
            raise LaunchError(self._failed) from err
        except BaseException as err:
            self._failed = f"{self.name}: was interrupted in the middle of a message ({type(err).__name__})"
            raise
        finally:
            if self._failed:
                self.close()

    def _connected(self) -> Session:
        deadline = time.monotonic() + CONNECT_SECONDS
        while self._session is None:
            try:
                self._session = self._open(deadline)
            except TimeoutError:
                raise LaunchError(
                    f"{self.name}: must identify itself within {CONNECT_SECONDS:g} s. Is its process stopped?"
                ) from None
            except ConnectionError as err:  # the server is ending, or has too many unauthenticated connections
                if time.monotonic() >= deadline:
                    raise LaunchError(
                        f"{self.name}: must accept this process within {CONNECT_SECONDS:g} s ({err}). Its log says why "
                        f"it closes connections"
                    ) from None
                time.sleep(0.05)
        return self._session

    def _open(self, deadline: float) -> Session:
        raw = connect(self.address, deadline - time.monotonic())
        try:
            session = open_session(raw, self._secret, deadline - time.monotonic())
            raw.settimeout(max(deadline - time.monotonic(), 0.1))
            hello = Message()
            hello.add(*self._hello)
            session.send(hello)
            first = session.receive()
            if first is None:
                raise ConnectionError("it closed the connection")
            error: str | None = "it did not answer"
            if first.calls:
                error = first.calls[0].get("error")
            if error is not None:
                raise LaunchError(f"{self.name}: must accept this job's graph ({error})")
            raw.settimeout(self.timeout)
        except BaseException:
            raw.close()
            raise
        return session

    def _lost(self, err: OSError) -> str:
        if isinstance(err, TimeoutError):
            return (
                f"{self.name}: must answer within {self.timeout:g} s. Are its host and the network up? Raise "
                f"launch.timeout_seconds if it is only slow"
            )
        return f"{self.name}: must stay connected ({err}). Its log says why it ended"

    @property
    def traffic(self) -> tuple[int, int]:
        """(messages, bytes) of this connection so far, in both directions."""
        return (0, 0) if self._session is None else (self._session.frames, self._session.bytes)

    @property
    def name(self) -> str:
        """How messages name this server."""
        return f"graph server {self.address[0]}:{self.address[1]}"


def connect(address: tuple[str, int], seconds: float, what: str = "graph server") -> socket.socket:
    """A connected socket; retries until somebody listens. LaunchError when nobody does in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            raw = socket.create_connection(address, timeout=min(max(deadline - time.monotonic(), 0.1), _TRY_SECONDS))
            if raw.getsockname() != raw.getpeername():
                break
            raw.close()  # nobody listens, and the kernel chose the same port for us: TCP connected to itself
            raise ConnectionRefusedError("nobody listens")
        except OSError as err:
            if time.monotonic() >= deadline:
                raise LaunchError(
                    f"{what} {address[0]}:{address[1]}: must be reachable within {seconds:.3g} s ({err}). Are its host "
                    f"and the network up?"
                ) from None
            time.sleep(0.05)
    tune(raw)
    return raw


class Client:
    """The connections of a process: one to a server of each other host."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self.connections = connections

    @property
    def traffic(self) -> tuple[int, int]:
        """(messages, bytes) with all servers so far, in both directions."""
        messages, size = zip(*(c.traffic for c in self.connections), strict=True)
        return sum(messages), sum(size)

    def flush(self) -> None:
        """Send everything that is queued, for every server."""
        for connection in self.connections:
            connection.flush()

    def result(self, ticket: Ticket) -> Arrays:
        """The arrays of an answer. Everything that is queued, for every server, is sent before the wait."""
        while ticket.answer is None:
            self.flush()
            if ticket.answer is None:
                ticket.connection.receive()
        call, arrays = ticket.answer
        if "error" in call:
            raise DataError(f"{ticket.connection.name}: {call['error']}")
        return arrays
