"""Servers: strangers do no harm, and whatever goes wrong ends in a message, not in silence nor in half an answer."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

from gconstruct.partition import partition_graph
from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.graph.partition_reader import HIDDEN, HiddenEdges, HopRequest, Partition
from graphstorm_like.graph.remote import client as client_module
from graphstorm_like.graph.remote import server as server_module
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.messages import Message, to_batches, to_bytes
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.remote.transport import Service, call_options, new_client
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.store import ExcludedEdges
from graphstorm_like.testing.ranks import free_ports

from ..gconstruct.partitioning import LINK, LINK_REV, random_graph
from .serving import JOB, NOTHING, OTHER_JOB, PLAIN, client, close, of_host, serving

SIZE = ("item", "feature:size")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph in two partitions."""
    where = tmp_path_factory.mktemp("graphs")
    partition_graph(random_graph(where / "tables", 5, items=60), where / "in-2", 2, seed=1)
    return where / "in-2"


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[GraphServer]:
    with serving(folder, 0, tmp_path) as made:
        yield made


@pytest.fixture
def part(folder: Path, server: GraphServer) -> Iterator[RemotePart]:
    made = client(folder, server.address)
    yield made
    close([made])


def works(folder: Path, part: RemotePart) -> None:
    """It samples and reads what the files hold."""
    here = Partition(folder, read_manifest(folder), 0, NOTHING)
    rows = np.arange(5)
    request = [HopRequest(LINK, rows, 2)]
    for one, two in zip(part.begin_hops(request, 3).wait(), here.begin_hops(request, 3).wait(), strict=True):
        assert (one.sources.tolist(), one.edge_ids.tolist()) == (two.sources.tolist(), two.edge_ids.tolist())
    assert part.begin_rows(SIZE, rows).wait().tolist() == here.begin_rows(SIZE, rows).wait().tolist()


def until(what: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


# ------------------------------------------------------------------------------------------------------------ strangers


def reach(server: GraphServer) -> socket.socket:
    return socket.create_connection(server.address, timeout=5)


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
    assert time.monotonic() - start < 5
    done.set()
    working.join(10)
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
    assert time.monotonic() - start < 5
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
        self.spoils = self.loses = False
        self._lost: dict[socket.socket, float] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, server = self._listener.accept()[0], reach(self._server)
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
                if source in self._lost or target in self._lost:
                    continue
                if self.spoils and what == "answered":
                    data[len(data) // 2] ^= 1
                target.sendall(data)

    def close(self) -> None:
        self._listener.close()


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


# --------------------------------------------------------------------------------------------- questions without answer


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (("item", "feature:sise"), "unknown feature 'sise'.*Did you mean 'size'"),
        (("itm", "feature:size"), "unknown node type 'itm'"),
        ((("item", "lnk", "item"), "source"), "unknown edge type"),
        (("item", "shared:nothing"), "must hold a table"),
        (("item", "degrees"), "AssertionError"),
    ],
)
def test_unknown_columns_are_told_of(
    folder: Path, server: GraphServer, part: RemotePart, column: Any, message: str
) -> None:
    for ask in (lambda: part.begin_rows(column, np.arange(2)).wait(), lambda: part.column(column)):
        with pytest.raises(DataError, match=f"graph server 127.0.0.1:{server.address[1]}: .*"):
            ask()
        works(folder, part)
    with pytest.raises(DataError, match=message):
        part.begin_rows(column, np.arange(2)).wait()


def test_questions_that_are_none(folder: Path, part: RemotePart) -> None:
    connection, ask = part._connection, part._client.result
    for call in ({}, {"do": "fly"}, {"do": "hops"}, {"do": "rows", "column": 3}, {"do": None}, {"do": "open"},
                 {"do": "column", "column": ["item", "feature:size"], "start": "x"}):  # fmt: skip
        with pytest.raises(DataError):
            ask(connection.ask(call, []))
        works(folder, part)
    with pytest.raises(DataError, match="IndexError"):
        part.begin_rows(SIZE, np.array([10**9])).wait()
    works(folder, part)


def test_one_bad_question_of_several(folder: Path, part: RemotePart) -> None:
    good, bad, also = (part.begin_rows(("item", f"feature:{n}"), np.arange(3)) for n in ("size", "bad", "colour"))
    with pytest.raises(DataError, match="unknown feature"):
        bad.wait()
    assert (len(good.wait()), len(also.wait())) == (3, 3)


def test_what_cannot_be_sent_is_told_of(folder: Path, part: RemotePart, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Partition, "column", lambda *_: np.array([{}, []], dtype=object))
        with pytest.raises(DataError, match="arrays of object cannot be sent"):
            part.begin_rows(SIZE, np.arange(2)).wait()
    works(folder, part)


def test_another_graph_or_host_is_refused(folder: Path, tmp_path: Path, server: GraphServer) -> None:
    other = tmp_path / "other"
    partition_graph(folder, other, 2, seed=2)
    for made in (client(other, server.address), client(other, server.address)):
        for _ in range(2):
            with pytest.raises(LaunchError, match="must be the trainers' graph"):
                works(folder, made)
    with (
        serving(folder, 0, tmp_path, PLAIN) as plain,
        pytest.raises(LaunchError, match=r"GSL_SERVERS: must name the server of host 1 \(this is host 0's\)"),
    ):
        works(folder, client(folder, plain.address, host=1, credentials=PLAIN))


def test_a_question_that_is_no_message(folder: Path, server: GraphServer, part: RemotePart) -> None:
    """Told of in one line, and the server goes on."""
    works(folder, part)
    asked, options = new_client(server.address, 0, of_host(1)), call_options(of_host(1), 5.0)
    for raw in (b"", bytes(100), to_bytes(Message())[:-20]):
        with pytest.raises(flight.FlightServerError, match=r"must be (Arrow streams|of this protocol)"):
            asked.do_get(flight.Ticket(raw), options)
        with pytest.raises(flight.FlightServerError, match=r"must be (Arrow streams|of this protocol)"):
            list(asked.do_action(flight.Action("open", raw), options))
    with pytest.raises(flight.FlightServerError, match="the only action is 'open'"):
        list(asked.do_action(flight.Action("stop", to_bytes(Message())), options))
    asked.close()
    works(folder, part)


# ---------------------------------------------------------------------------------------------------------------- views


def test_the_same_ends_of_another_edge_type_are_another_view(folder: Path, server: GraphServer) -> None:
    manifest, found = read_manifest(folder), {}
    here = Partition(folder, manifest, 0, NOTHING)
    ends = here.column((LINK, "source"))[:9].astype(np.int64), here.column((LINK, "target"))[:9].astype(np.int64)
    for edge_type in (LINK, LINK_REV):
        hidden = HiddenEdges({}, ExcludedEdges({edge_type: ends}).ends)
        made = client(folder, server.address, hidden=hidden)
        local = Partition(folder, manifest, 0, hidden)
        for asked in (LINK, LINK_REV):
            found[edge_type, asked] = made.column((asked, HIDDEN)).tolist()
            assert found[edge_type, asked] == local.column((asked, HIDDEN)).tolist()
        close([made])
    assert sum(found[LINK, LINK]) >= 9
    assert found[LINK, LINK] != found[LINK_REV, LINK]


def test_views_are_shared_and_not_kept_for_ever(folder: Path, server: GraphServer) -> None:
    made = []
    for number in [0, 0, 0, *range(9), 0]:
        hidden = HiddenEdges({}, {LINK: (np.array([number]), np.array([0]))})
        made.append(client(folder, server.address, hidden=hidden))
        made[-1].column((LINK, HIDDEN))
        assert len(server._views) <= server_module.MAX_VIEWS
        assert number > 0 or len(made) > 3 or len(server._views) == 1
    for part in made:
        part.column((LINK, HIDDEN))
    close(made)


def test_long_columns_come_in_pieces(folder: Path, part: RemotePart, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Partition(folder, read_manifest(folder), 0, NOTHING)
    for limit in (1, 100, 1 << 20):
        monkeypatch.setattr(server_module, "PIECE_BYTES", limit)
        for column in (
            SIZE,
            ("item", "text:title"),
            ("item", "id"),
            (LINK, "degrees"),
            (("user", "knows", "user"), "source"),
        ):
            one, two = part.column(column), here.column(column)
            assert one.tolist() == two.tolist()
            assert getattr(one, "dtype", None) == getattr(two, "dtype", None)
            assert getattr(one, "type", None) == getattr(two, "type", None)


# --------------------------------------------------------------------------------------------------------- lost servers


class Fake(Service):
    """Opens a view, and then does something else than answer."""

    def __init__(self, after: Callable[[flight.Ticket], Any]) -> None:
        self.after = after
        super().__init__(("127.0.0.1", 0), of_host(0))

    def do_action(self, context: Any, action: flight.Action) -> list[bytes]:
        """See FlightServerBase."""
        return [b"view"]

    def do_get(self, context: Any, ticket: flight.Ticket) -> Any:
        """See FlightServerBase."""
        return self.after(ticket)


def silence(_: flight.Ticket) -> Any:
    time.sleep(0.6)
    return flight.RecordBatchStream(pa.table({"a": [1]}))


def half_an_answer(_: flight.Ticket) -> Any:
    schema, (batch,) = to_batches(answer_of(1))

    def pieces() -> Iterator[pa.RecordBatch]:
        yield batch
        time.sleep(0.6)
        yield batch

    return flight.GeneratorStream(schema, pieces())


def answer_of(count: int, view: str = "view") -> Message:
    answer = Message(view=view)
    for _ in range(count):
        answer.add({}, [np.arange(3)])
    return answer


def stream(schema: pa.Schema, batches: list[pa.RecordBatch]) -> Any:
    return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(schema, batches))


def fails(_: flight.Ticket) -> Any:
    raise ValueError("a defect")


AFTER: dict[str, tuple[Callable[[flight.Ticket], Any], str]] = {
    "silence": (silence, r"must answer within 0.3 s.*launch\.timeout_seconds"),
    "half an answer": (half_an_answer, r"must answer within 0.3 s.*launch\.timeout_seconds"),
    "fails": (fails, "must stay connected.*Its log says why"),
    "too many answers": (lambda _: stream(*to_batches(answer_of(2))), "must answer every question"),
    "nonsense": (lambda _: stream(pa.schema([]), []), "messages must be of this protocol"),
    "forgets its view": (lambda _: stream(*to_batches(answer_of(1, ""))), "must keep the view"),
}


@pytest.mark.parametrize("kind", AFTER)
def test_lost_servers(folder: Path, kind: str) -> None:
    after, message = AFTER[kind]
    with Fake(after) as server:
        part = client(folder, ("127.0.0.1", server.port), timeout=0.3)
        start = time.monotonic()
        read = part.begin_rows(SIZE, np.arange(2))

        def ask_anew() -> None:
            part.begin_rows(SIZE, np.arange(2)).wait()

        for again in [read.wait, read.wait, ask_anew, lambda: part.column(SIZE)]:
            with pytest.raises(LaunchError, match=message):  # again and again the same
                again()
        assert time.monotonic() - start < 3
        assert part._connection._flight is None


def test_a_server_that_stops(folder: Path, tmp_path: Path) -> None:
    with serving(folder, 0, tmp_path) as server:
        part = client(folder, server.address)
        works(folder, part)
    for _ in range(2):
        with pytest.raises(LaunchError, match="must stay connected"):
            works(folder, part)
    with pytest.raises(ConnectionRefusedError):
        reach(server)


def test_a_server_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens; somebody does and is silent, as a process that is stopped."""
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
        with pytest.raises(LaunchError, match=rf"127.0.0.1:{address[1]}: must be reachable within 0.2 s"):
            works(folder, client(folder, address))
    with pytest.raises(LaunchError, match=rf"127.0.0.1:{address[1]}: must be reachable within 0.2 s"):
        works(folder, client(folder, address))


def test_a_server_that_comes_later(folder: Path, tmp_path: Path) -> None:
    """The first calls fail; the client tries until it is there."""
    (port,) = free_ports(1)
    part = client(folder, ("127.0.0.1", port))
    read = part.begin_rows(SIZE, np.arange(2))
    part._connection.flush()
    time.sleep(0.3)
    server = GraphServer(folder, 0, tmp_path, ("127.0.0.1", port), of_host(0))
    threading.Thread(target=server.serve, daemon=True).start()
    assert len(read.wait()) == 2
    server.stop()


def test_an_interrupt_does_not_leave_half_an_answer(
    folder: Path, part: RemotePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(folder, part)
    read = part.begin_rows(SIZE, np.arange(2))

    def interrupt(*_: Any) -> Message:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(client_module._Exchange, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read.wait()
    with pytest.raises(LaunchError, match="was interrupted"):
        works(folder, part)


def test_nothing_is_left_of_connections(folder: Path, server: GraphServer) -> None:
    def count() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    works(folder, first := client(folder, server.address))
    close([first])
    before = count()
    parts = [client(folder, server.address) for _ in range(20)]
    for part in parts:
        works(folder, part)
    assert count()[1] >= before[1] + 20
    close(parts)
    until(lambda: count()[0] <= before[0] + 1 and count()[1] <= before[1] + 5)
