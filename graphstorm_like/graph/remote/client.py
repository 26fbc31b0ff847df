"""Requests to servers: queued until somebody waits for an answer, then sent as one message per server.

Sampling a mini-batch thus costs one message and one answer per layer and host, and one more for all of its rows.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pyarrow import flight

from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.forking import forbid_forks, is_bad_fork
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.messages import Arrays, Call, Message, from_batches, to_bytes
from graphstorm_like.graph.remote.transport import (
    ERRORS,
    call_options,
    is_late,
    is_lost,
    is_refusal,
    new_client,
    reason,
)

CONNECT_SECONDS = 60.0
"""How long a server may take to start and to listen."""
QUIET_SECONDS = 30.0
"""After so long without an answer a client looks whether the connection lives. gRPC's servers drop one whose network
was away for 20 s, which a client that only waits would never hear."""
_TRY_SECONDS, _PING_SECONDS = 0.05, 5.0
_VIEW_TRIES = 5


class Ticket:
    """Holds the answer to a request once it has arrived."""

    __slots__ = ("answer", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.answer: tuple[Call, Arrays] | None = None


class _Exchange(threading.Thread):
    """A question on its way. Flight's calls wait for the answer, so that each has a thread."""

    def __init__(self, talk: Callable[[Message], Message], question: Message) -> None:
        super().__init__(daemon=True, name="question to a graph server")
        self._talk, self._question = talk, question
        self._answer: Message | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """See Thread."""
        try:
            self._answer = self._talk(self._question)
        except BaseException as err:
            self._error = err

    def wait(self, quiet: Callable[[], None]) -> Message:
        """The answer, or whatever went wrong; it takes no longer than the call's deadline. quiet: called now and then
        while no answer comes."""
        self.join(QUIET_SECONDS)
        while self.is_alive():
            quiet()
            self.join(QUIET_SECONDS)
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer


class Connection:
    """A connection to one server. At most one message is in flight. hello: the call that opens a view of a partition;
    timeout: seconds that a question and its whole answer may take.

    After an error every use raises the same LaunchError. The process that first uses it is the only one that can.
    """

    def __init__(
        self, address: tuple[str, int], credentials: Credentials, hello: tuple[Call, Arrays], timeout: float
    ) -> None:
        self.address, self.timeout = address, timeout
        self._credentials, self._hello = credentials, hello
        self._flight: flight.FlightClient | None = None
        self._view, self._failed = "", ""
        self._messages = self._bytes = 0
        self._queue: Message = Message()
        self._queued: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._exchange: _Exchange | None = None

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
        self._check()
        forbid_forks()
        self._waiting, self._queued = self._queued, []
        question, self._queue = self._queue, Message()
        self._exchange = _Exchange(self._talk, question)

    def receive(self) -> None:
        """Wait for the answer to the message in flight."""
        self._check()
        assert self._exchange is not None
        with self._guard():
            answer = self._exchange.wait(self._ping)
            if len(answer.calls) != len(self._waiting):
                raise LaunchError(f"{self.name}: must answer every question (got {len(answer.calls)} answers)")
        for ticket, call, arrays in zip(self._waiting, answer.calls, answer.arrays, strict=True):
            ticket.answer = (call, arrays)
        self._waiting, self._exchange = [], None

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        if self._flight is not None and (self._exchange is None or not self._exchange.is_alive()):
            self._flight.close()
        self._flight, self._view, self._exchange = None, "", None
        self._queue, self._queued, self._waiting = Message(), [], []

    def _check_process(self) -> None:
        if is_bad_fork():
            raise LaunchError(
                f"{self.name}: must be asked by a process that no process with connections has forked. Start it by "
                f"forkserver or spawn"
            )

    def _check(self) -> None:
        self._check_process()
        if self._failed:
            raise LaunchError(self._failed)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """After any error in here the connection cannot be used again."""
        try:
            yield
        except (LaunchError, TypeError) as err:
            self._failed = str(err)
            raise
        except ERRORS as err:
            self._failed = self._lost(err)
            raise LaunchError(self._failed) from err
        except BaseException as err:
            self._failed = f"{self.name}: was interrupted in the middle of a message ({type(err).__name__})"
            raise
        finally:
            if self._failed:
                self.close()

    def _ping(self) -> None:
        """Write to the connection: one that is dead breaks, and the question is asked again over a new one."""
        if (connected := self._flight) is not None:
            with contextlib.suppress(*ERRORS):
                list(connected.do_action(flight.Action("ping", b""), call_options(self._credentials, _PING_SECONDS)))

    # -- in the thread of a question --------------------------------------------------------------------------------

    def _talk(self, question: Message) -> Message:
        """The answer to a question. A server that has dropped the view meanwhile is asked to open it again."""
        deadline = 0.0
        for _ in range(_VIEW_TRIES):
            connected, question.view = self._connected()
            deadline = deadline or time.monotonic() + self.timeout
            answer = self._answer(connected, to_bytes(question), deadline)
            if answer.view == question.view:
                return answer
            self._view = ""
        raise LaunchError(f"{self.name}: must keep the view of its partition that it has opened")

    def _answer(self, connected: flight.FlightClient, question: bytes, deadline: float) -> Message:
        """A question that is lost with its connection is asked again over a new one: questions change nothing."""
        while True:
            options = call_options(self._credentials, max(deadline - time.monotonic(), 0.01))
            try:
                reader = connected.do_get(flight.Ticket(question), options)
                batches = list(reader.to_reader())
                break
            except ERRORS as err:
                if not is_lost(err) or time.monotonic() >= deadline:
                    raise
                time.sleep(_TRY_SECONDS)
        self._messages += 2
        self._bytes += len(question) + sum(batch.nbytes for batch in batches)
        try:
            return from_batches(reader.schema, batches)
        except LaunchError as err:
            raise LaunchError(f"{self.name}: {err}") from None

    def _connected(self) -> tuple[flight.FlightClient, str]:
        """The client, and the server's name for the view of its partition."""
        hello = Message()
        hello.add(*self._hello)
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._view:
            if self._flight is None:
                self._flight = new_client(self.address, int(self._hello[0]["host"]), self._credentials)
            try:
                self._view = self._open(self._flight, to_bytes(hello), deadline)
            except ERRORS as err:
                if is_refusal(err):
                    raise LaunchError(
                        f"{self.name}: must be of this job, and know its secret ({reason(err)}). Is it the server of "
                        f"another job?"
                    ) from None
                if not isinstance(err, flight.FlightUnavailableError) and not is_late(err):
                    raise LaunchError(f"{self.name}: must accept this job's graph ({reason(err)})") from None
                if time.monotonic() >= deadline:
                    raise LaunchError(
                        f"{self.name}: must be reachable within {CONNECT_SECONDS:.3g} s ({reason(err)}). Are its host "
                        f"and the network up? Is its process stopped?"
                    ) from None
                time.sleep(_TRY_SECONDS)
        assert self._flight is not None
        return self._flight, self._view

    def _open(self, connected: flight.FlightClient, hello: bytes, deadline: float) -> str:
        options = call_options(self._credentials, max(deadline - time.monotonic(), 0.05))
        (view,) = connected.do_action(flight.Action("open", hello), options)
        name: str = view.body.to_pybytes().decode()
        return name

    def _lost(self, err: BaseException) -> str:
        if is_late(err):
            return (
                f"{self.name}: must answer within {self.timeout:g} s. Are its host and the network up? Raise "
                f"launch.timeout_seconds if it is only slow"
            )
        return f"{self.name}: must stay connected ({reason(err)}). Its log says why it ended"

    @property
    def traffic(self) -> tuple[int, int]:
        """(messages, bytes) of this connection so far, in both directions."""
        return self._messages, self._bytes

    @property
    def name(self) -> str:
        """How messages name this server."""
        return f"graph server {self.address[0]}:{self.address[1]}"


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
