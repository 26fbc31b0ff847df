"""Who is not of the job: strangers at a server's port, and somebody between a server and its client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.partition_reader import Partition
from graphstorm_like.graph.remote import client as client_module
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.schema import read_manifest

from .serving import JOB, NOTHING, OTHER_JOB, PLAIN, SIZE, client, close, ends, of_host, reach, serving, works

# ------------------------------------------------------------------------------------------------------------ strangers


def shout(server: GraphServer, data: bytes) -> list[socket.socket]:
    stranger = reach(server)
    try:
        stranger.sendall(data)
        while stranger.recv(4096):
            pass
    except OSError:
        pass
    stranger.close()
    return []


def hang_up(server: GraphServer) -> list[socket.socket]:
    for _ in range(20):
        reach(server).close()
    return []


def half_a_handshake(server: GraphServer) -> list[socket.socket]:
    """The first bytes of a TLS handshake, and no more."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    stranger = reach(server)
    stranger.sendall(outgoing.read()[:100])
    return [stranger]


def without_a_certificate(server: GraphServer) -> list[socket.socket]:
    """Trusts any server; in TLS 1.3 it learns at its first read that it is refused, and hears no word of HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(reach(server)) as stranger:
        assert stranger.version() == "TLSv1.3"
        heard = b""
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            heard = stranger.recv(100)
        assert heard == b""
    return []


STRANGERS: dict[str, Callable[[GraphServer], list[socket.socket]]] = {
    "200 kB of noise": lambda s: shout(s, np.random.default_rng(0).bytes(200_000)),
    "HTTP": lambda s: shout(s, b"GET / HTTP/1.1\r\nHost: " + b"x" * 100 + b"\r\n\r\n"),
    "half a handshake": half_a_handshake,
    "no certificate": without_a_certificate,
    "hanging up": hang_up,
    "300 that say nothing": lambda s: [reach(s) for _ in range(300)],
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_strangers_do_no_harm(folder: Path, server: GraphServer, part: RemotePart, kind: str) -> None:
    works(folder, part)
    done, found = threading.Event(), []

    def go_on() -> None:
        try:
            while not done.is_set():
                works(folder, other)
            works(folder, other)
        except Exception as err:
            found.append(err)

    other = client(folder, server.address)
    working = threading.Thread(target=go_on)
    working.start()
    strangers = STRANGERS[kind](server)
    works(folder, part)
    late = client(folder, server.address)
    start = time.monotonic()
    works(folder, late)
    assert time.monotonic() - start < 30
    done.set()
    ends(working)
    assert found == []
    for stranger in strangers:
        stranger.close()
    works(folder, part)
    close([late, other])


REFUSED = {
    "another job's certificate": lambda: of_host(1, OTHER_JOB),
    "another job's token": lambda: replace(of_host(1), token=OTHER_JOB.token),
    "no certificate": lambda: replace(of_host(1), certificate="", key=""),
    "no TLS": lambda: Credentials(JOB.token),
}


@pytest.mark.parametrize("who", REFUSED)
def test_who_is_not_of_the_job_is_refused(
    folder: Path, server: GraphServer, part: RemotePart, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(LaunchError, match=r"must be of this job, and know its secret|must be reachable within 1 s"):
        works(folder, client(folder, server.address, credentials=REFUSED[who]()))
    assert time.monotonic() - start < 30
    works(folder, part)


def test_a_server_must_be_the_host_that_is_asked(folder: Path, server: GraphServer) -> None:
    """A certificate of the job is not enough: one host cannot stand in for another."""
    with pytest.raises(LaunchError, match="must be of this job"):
        works(folder, client(folder, server.address, host=1))


def test_a_closed_network_needs_the_token_only(folder: Path, tmp_path: Path) -> None:
    with serving(folder, 0, tmp_path, PLAIN) as server:
        works(folder, client(folder, server.address, credentials=PLAIN))
        for other in (Credentials("cd" * 32), Credentials("")):
            with pytest.raises(LaunchError, match="must be of this job"):
                works(folder, client(folder, server.address, credentials=other))


# ------------------------------------------------------------------------------------------------- a man in the middle


class Middle:
    """Passes bytes on between a client and a server, keeps what it has seen, and may change a byte of an answer, or
    lose a connection: swallow all from an answer on, and break off when the client sends more some time later."""

    def __init__(self, server: GraphServer) -> None:
        self._server = server
        self.seen: dict[str, bytes] = {"asked": b"", "answered": b""}
        self.spoils = self.loses = self.is_deaf = False
        self._lost: dict[socket.socket, float] = {}
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, server = self._listener.accept()[0], reach(self._server)
                self._open += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server, "asked"), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, "answered"), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, what: str) -> None:
        source.settimeout(None)
        with contextlib.suppress(OSError), source, target:
            while data := bytearray(source.recv(1 << 16)):
                self.seen[what] += data
                if self.loses and what == "answered":
                    self.loses = False
                    self._lost[target] = time.monotonic() + 0.1
                if source in self._lost and time.monotonic() > self._lost[source]:
                    return
                if self.is_deaf or source in self._lost or target in self._lost:
                    continue
                if self.spoils and what == "answered":
                    data[len(data) // 2] ^= 1
                target.sendall(data)

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):  # one that is closed already
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def middle(server: GraphServer) -> Iterator[Middle]:
    made = Middle(server)
    yield made
    made.close()


def test_nobody_can_read_along(folder: Path, tmp_path: Path, middle: Middle) -> None:
    """Neither questions nor answers nor the token; without TLS all of them can be read."""
    rows = np.arange(20)
    sizes = Partition(folder, read_manifest(folder), 0, NOTHING).begin_rows(SIZE, rows).wait()
    part = client(folder, middle.address)
    assert part.begin_rows(SIZE, rows).wait().tolist() == sizes.tolist()
    secrets = [JOB.token.encode(), b"feature:size", sizes.tobytes()]
    seen = middle.seen["asked"] + middle.seen["answered"]
    assert len(seen) > 1000
    assert [secret for secret in secrets if secret in seen] == []
    with serving(folder, 0, tmp_path, PLAIN) as plain:
        open_middle = Middle(plain)
        part = client(folder, open_middle.address, credentials=PLAIN)
        assert part.begin_rows(SIZE, rows).wait().tolist() == sizes.tolist()
        seen = open_middle.seen["asked"] + open_middle.seen["answered"]
        assert PLAIN.token.encode() in seen
        close([part])
        open_middle.close()


def test_nobody_can_change_an_answer(folder: Path, part: RemotePart, middle: Middle) -> None:
    spoilt = client(folder, middle.address, timeout=0.5)
    works(folder, spoilt)
    middle.spoils = True
    with pytest.raises(LaunchError, match="must (stay connected|answer within 0.5 s)"):
        works(folder, spoilt)
    works(folder, part)


def test_a_question_that_is_lost_is_asked_again(folder: Path, middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is dead for one side only, as after a break of the network, is found out by writing to it."""
    part = client(folder, middle.address)
    works(folder, part)
    monkeypatch.setattr(client_module, "QUIET_SECONDS", 0.2)
    middle.loses = True
    start = time.monotonic()
    works(folder, part)
    assert 0.2 <= time.monotonic() - start < 10
    assert not middle.loses


def test_a_server_ends_although_a_client_is_away(folder: Path, tmp_path: Path) -> None:
    """Its connection is open, but nothing comes through: the client never hears that the server ends."""
    server = GraphServer(folder, 0, tmp_path, ("127.0.0.1", 0), of_host(0))
    serving_it = threading.Thread(target=server.serve, daemon=True)
    serving_it.start()
    middle = Middle(server)
    part = client(folder, middle.address)
    works(folder, part)
    middle.is_deaf = True
    server.stop()
    ends(serving_it)  # before the client is told
    middle.close()
    close([part])


def test_nobody_can_repeat_what_was_said(folder: Path, server: GraphServer, part: RemotePart, middle: Middle) -> None:
    heard = client(folder, middle.address)
    works(folder, heard)
    asked: list[Any] = []
    answer = server.answer
    server.answer = lambda question: (asked.append(question), answer(question))[1]  # type: ignore[method-assign]
    shout(server, middle.seen["asked"])
    assert asked == []
    works(folder, part)
    assert asked != []
