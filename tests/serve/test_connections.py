"""Slow, silent and too many clients, before a plain application behind the server's connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn")

from graphstorm_like.serve.connections import READ_BYTES, Deadlines, Guard, GuardedProtocol, connections_of  # noqa: E402

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
LONG = b"a" * (32 << 20)


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer the length of the body; /long sends much, /refuse reads no body, /sleep takes a while."""
    if scope["type"] != "http":
        return
    size, more = 0, scope["path"] != "/refuse"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    if scope["path"] == "/sleep":
        await asyncio.sleep(0.5)
    body = LONG if scope["path"] == "/long" else json.dumps(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """A server in a thread of this process; its clients are sockets."""

    def __init__(self, **limits: Any) -> None:
        self.cuts: Counter[str] = Counter()
        self.guard = Guard(lambda reason: self.cuts.update([reason]), **limits)
        http: Any = partial(GuardedProtocol, guard=self.guard)
        config = uvicorn.Config(echo, http=http, ws="none", log_level="error", lifespan="off", timeout_keep_alive=1)
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), timeout=5)
        client.sendall(sent)
        return client

    def answer(self, sent: bytes) -> bytes:
        with self.connect(sent) as client:
            return everything(client)

    def wait_for_cut(self, reason: str) -> None:
        deadline = time.monotonic() + 5
        while not self.cuts[reason] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.cuts[reason], self.cuts


def everything(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def honest(server: Running) -> None:
    got = server.answer(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc")
    assert got.startswith(b"HTTP/1.1 200")
    assert got.endswith(b"3")


@contextlib.contextmanager
def running(**limits: Any) -> Iterator[Running]:
    server = Running(**limits)
    yield server
    server.server.should_exit = True
    server.thread.join(10)
    assert not server.thread.is_alive()
    assert (server.guard.connections, server.guard.bytes_held) == (set(), 0)


SHORT = Deadlines(head=0.3, body=0.3, drain=0.3, send=0.3)


def test_slow_and_silent_clients_are_cut_off() -> None:
    with running(deadlines=SHORT) as server:
        for sent, phase in ((b"", "head"), (b"POST / HT", "head"), (HEAD % 9 + b"abc", "body")):
            with server.connect(sent) as client:
                started = time.monotonic()
                got = everything(client)
                assert got.startswith(b"HTTP/1.1 408"), got
                assert 0.2 < time.monotonic() - started < 2
            assert server.cuts.pop(phase) == 1
        with server.connect(HEAD % 100) as client:  # a byte now and then does not help
            started = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - started < 3:
                    client.sendall(b"a")
                    time.sleep(0.05)
            assert time.monotonic() - started < 2
        honest(server)


def test_an_answer_that_takes_longer_than_a_request_may() -> None:
    with running(deadlines=SHORT) as server:
        request = b"POST /sleep HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        assert server.answer(request).startswith(b"HTTP/1.1 200")
        assert not server.cuts


def test_idle_connections_may_ask_again() -> None:
    with running(deadlines=SHORT) as server, server.connect() as client:
        for _ in range(3):
            client.sendall(HEAD % 3 + b"abc")
            got = b""
            while not got.endswith(b"\r\n\r\n3"):
                got += client.recv(1000)
            time.sleep(0.4)  # longer than the deadline of a request's head
        assert not server.cuts


def test_who_does_not_read_the_answer_is_cut_off() -> None:
    with running(deadlines=SHORT) as server, server.connect(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n"):
        server.wait_for_cut("send")
        honest(server)


def test_rest_of_a_refused_body() -> None:
    with running(deadlines=SHORT) as server:
        with server.connect(b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n") as client:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            with contextlib.suppress(OSError):
                for _ in range(40):
                    client.sendall(b"a" * 1000)
                    time.sleep(0.05)
        assert server.cuts["drain"] == 1
        assert server.guard.bytes_held == 0


def test_half_closed_connections_get_their_answer() -> None:
    with running(deadlines=SHORT) as server:
        with server.connect(b"POST /sleep HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc") as client:
            client.shutdown(socket.SHUT_WR)
            assert everything(client).endswith(b"3")
        with server.connect(HEAD % 9 + b"abc") as client:
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == b""
        honest(server)


def test_many_silent_connections_keep_nobody_out() -> None:
    with running(max_connections=20) as server, contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(server.connect())
        honest(server)
        assert len(server.guard.connections) <= 20
        assert server.cuts["full"] >= 40


def test_connections_that_are_being_answered_are_kept() -> None:
    with running(max_connections=3) as server, contextlib.ExitStack() as stack:
        sleep = b"POST /sleep HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        clients = [stack.enter_context(server.connect(sleep)) for _ in range(3)]
        time.sleep(0.1)
        assert everything(stack.enter_context(server.connect())).startswith(b"HTTP/1.1 503")
        assert all(everything(client).startswith(b"HTTP/1.1 200") for client in clients)


def test_bodies_that_do_not_end_are_bounded_together() -> None:
    with running(max_bytes=1 << 20) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect(HEAD % (1 << 20) + b"a" * 300_000)) for _ in range(6)]
        assert everything(clients[0]).startswith(b"HTTP/1.1 503")  # the one that has been arriving for longest
        server.wait_for_cut("memory")
        assert server.guard.bytes_held <= 1 << 20
        honest(server)


def test_a_long_body_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    hold = Guard.hold

    def noting(guard: Guard, connection: GuardedProtocol, count: int) -> None:
        sizes.append(count)
        hold(guard, connection, count)

    monkeypatch.setattr(Guard, "hold", noting)
    with running() as server:
        head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n"
        assert server.answer(head + b"a" * 1_000_000).endswith(b"1000000")
    assert sum(sizes) == len(head) + 1_000_000
    assert max(sizes) <= READ_BYTES


def test_bytes_that_are_no_request() -> None:
    with running() as server:
        for sent in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x00" * 1000 + b"\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
        ):
            assert server.answer(sent).startswith(b"HTTP/1.1 400")
        honest(server)


def test_connections_leave_files_to_others() -> None:
    assert connections_of(1 << 20) == 512
    assert connections_of(512) == 256
    assert connections_of(64) == 1
