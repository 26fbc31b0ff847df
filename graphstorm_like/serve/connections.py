"""Connections to the server: clients that are slow, silent or too many are cut off, so that others get in.

uvicorn closes connections that are idle between two requests, and waits for ever for the rest of a request, and for a
client that does not read its answer. Here each phase of a connection has its deadline, see `Deadlines`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512
"""The next one takes the place of the one that has kept the server waiting longest."""
MAX_BYTES_HELD = 256 << 20
"""Of all requests that are not answered yet: 32 of the largest bodies."""
BACKLOG = 128
"""Connections that wait to be accepted; the event loop accepts that many before it admits the first."""
FILES_KEPT = 128 + BACKLOG
"""Open files that connections leave to everything else in the process."""


READ_BYTES = 1 << 14
"""Taken from a connection before others have their turn: a body in chunks of one byte costs 10 us for each of them."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds. head: from the connection, or a request's first byte, to the end of its headers. body: from there to
    its end. drain: for the rest of a body that was refused early. send: for the client to read its answer."""

    head: float = 10.0
    body: float = 30.0
    drain: float = 5.0
    send: float = 60.0


@dataclass
class Guard:
    """What the connections of a server share. cut: called with the reason why a connection is cut off."""

    cut: Callable[[str], None] = lambda reason: None
    deadlines: Deadlines = field(default_factory=Deadlines)
    max_connections: int = MAX_CONNECTIONS
    max_bytes: int = MAX_BYTES_HELD

    def __post_init__(self) -> None:
        self.connections: set[GuardedProtocol] = set()
        self.bytes_held = 0

    def admit(self, connection: GuardedProtocol) -> None:
        """Add a connection; above the limit the one whose client has been waited for longest is cut off."""
        waited_for = [other for other in self.connections if other.phase != "answer"]
        self.connections.add(connection)
        if len(self.connections) <= self.max_connections:
            return
        oldest = min(waited_for, key=lambda other: other.since, default=connection)
        oldest.cut_off("full", 503, f"the server has {self.max_connections:,} connections. Ask again in a moment")

    def hold(self, connection: GuardedProtocol, count: int) -> None:
        """Count bytes of a request; above the limit the requests that have been arriving for longest are refused."""
        connection.bytes_held += count
        self.bytes_held += count
        if self.bytes_held <= self.max_bytes:
            return
        arriving = [other for other in self.connections if other.bytes_held and other.phase != "answer"]
        for other in sorted(arriving, key=lambda other: other.since):
            if self.bytes_held <= self.max_bytes:
                return
            other.cut_off("memory", 503, "the server holds too many long bodies. Ask again in a moment")

    def release(self, connection: GuardedProtocol) -> None:
        """Forget the bytes of a connection's request."""
        self.bytes_held -= connection.bytes_held
        connection.bytes_held = 0


class GuardedProtocol(H11Protocol):
    """A connection with deadlines. Phases: head, body, answer (ours: no deadline here), send, drain, idle (uvicorn's
    timeout_keep_alive)."""

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard = guard
        self.phase, self.since, self.bytes_held = "idle", 0.0, 0
        self._deadline: asyncio.TimerHandle | None = None
        self._request_began = True  # who connects has to ask

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection."""
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        self._follow()
        self.guard.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self.guard.release(self)
        self.guard.connections.discard(self)
        self._stop_clock()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request, unless there are too many."""
        self._request_began = True
        if self.phase != "drain":
            self.guard.hold(self, len(data))
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._follow()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays: a client that has sent a whole request may stop writing, and is answered."""
        if self.phase == "answer":
            self.cycle.keep_alive = False
        return self.phase == "answer"

    def on_response_complete(self) -> None:
        """Wait for the client to read, or for its next request."""
        self.guard.release(self)
        self._request_began = False
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        self._follow()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._follow()

    def cut_off(self, reason: str, status: int, message: str) -> None:
        """End the connection; a client that has no answer yet is told why."""
        self.guard.cut(reason)
        self.guard.release(self)
        self.guard.connections.discard(self)
        self._stop_clock()
        if self.phase in ("head", "body") and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": message}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()
        if self.transport.get_write_buffer_size() or not self.transport.is_closing():
            self.transport.abort()

    # ------------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Start the clock of the phase that the connection has come to."""
        phase = self._phase_now()
        if phase == self.phase:
            return
        self.phase, self.since = phase, self.loop.time()
        self._stop_clock()
        seconds = getattr(self.guard.deadlines, phase, None)
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._too_late, seconds)

    def _phase_now(self) -> str:
        if self.flow.write_paused:
            return "send"
        if self.cycle is not None and not self.cycle.response_complete:
            return "body" if self.cycle.more_body else "answer"
        if self.conn.their_state is h11.SEND_BODY:
            return "drain"
        if self._request_began:
            return "head"
        return "send" if self.transport.get_write_buffer_size() else "idle"

    def _too_late(self, seconds: float) -> None:
        self._follow()
        if self.phase in ("answer", "idle"):  # the last bytes of an answer were read without a further event
            return
        self.cut_off(
            self.phase, 408, f"request: must arrive within {seconds:g} s (its {self.phase} did not). Ask again"
        )

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def connections_of(open_files: int) -> int:
    """Return how many connections fit into a process that may have `open_files`."""
    return max(1, min(MAX_CONNECTIONS, open_files - FILES_KEPT))
