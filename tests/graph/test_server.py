"""Servers: strangers do no harm, and whatever goes wrong ends in a message, not in silence nor in half an answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct.partition import partition_graph
from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.graph.partition_reader import HIDDEN, HiddenEdges, HopRequest, Partition
from graphstorm_like.graph.remote import client as client_module
from graphstorm_like.graph.remote import server as server_module
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.remote.wire import MAGIC, Message, Session, accept_session, read_exactly
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.store import ExcludedEdges

from ..gconstruct.partitioning import LINK, LINK_REV, random_graph
from .serving import NOTHING, SECRET, client, close, serving

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
    stranger = reach(server)
    assert read_exactly(stranger, 36)[:4] == MAGIC
    stranger.sendall(MAGIC + bytes(40))
    return [stranger]


STRANGERS: dict[str, Callable[[GraphServer], list[socket.socket]]] = {
    "200 kB of noise": lambda s: shout(s, np.random.default_rng(0).bytes(200_000)),
    "what begins right": lambda s: shout(s, MAGIC + np.random.default_rng(0).bytes(200_000)),
    "HTTP": lambda s: shout(s, b"GET / HTTP/1.1\r\nHost: " + b"x" * 100 + b"\r\n\r\n"),
    "nothing": lambda s: [reach(s)],
    "half a handshake": half_a_handshake,
    "hanging up": hang_up,
    "70 that say nothing": lambda s: [reach(s) for _ in range(70)],
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
    assert len(server._strangers) <= server_module.MAX_STRANGERS
    for stranger in strangers:
        stranger.close()
    works(folder, part)
    close([late, other])
    until(lambda: len(server._connections) == 1)


def test_who_says_nothing_is_closed(
    folder: Path, server: GraphServer, part: RemotePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(folder, part)
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 0.2)
    strangers = [reach(server) for _ in range(10)]
    for stranger in strangers:
        read_exactly(stranger, 36)
        assert stranger.recv(1) == b""  # closed
    until(lambda: len(server._connections) == 1)
    works(folder, part)


def test_a_client_that_strangers_push_out_tries_again(
    folder: Path, server: GraphServer, part: RemotePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_STRANGERS", 0)
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.5)
    with pytest.raises(LaunchError, match=r"must accept this process within 0.5 s"):
        works(folder, client(folder, server.address))
    timer = threading.Timer(0.3, lambda: monkeypatch.setattr(server_module, "MAX_STRANGERS", 64))
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 10)
    timer.start()
    works(folder, part)
    timer.join()


def test_another_secret_is_refused_at_once(folder: Path, server: GraphServer) -> None:
    start = time.monotonic()
    with pytest.raises(LaunchError, match="refused the job's secret"):
        works(folder, client(folder, server.address, secret=bytes(32)))
    assert time.monotonic() - start < 5


def test_a_bad_frame_ends_its_connection_only(folder: Path, server: GraphServer, part: RemotePart) -> None:
    works(folder, part)
    bad = client(folder, server.address)
    works(folder, bad)
    session = bad._connection._session
    assert session is not None
    session.connection.sendall(bytes(300))
    with pytest.raises(LaunchError, match="must stay connected"):
        works(folder, bad)
    works(folder, part)


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
    with pytest.raises(LaunchError, match=r"GSL_SERVERS: must name the server of host 1 \(this is host 0's\)"):
        works(folder, client(folder, server.address, host=1))


def test_the_first_question_is_open(folder: Path, server: GraphServer) -> None:
    from graphstorm_like.graph.remote.wire import open_session

    session = open_session(reach(server), SECRET, 5.0)
    asked = Message()
    asked.add({"do": "rows", "column": list(SIZE)}, [np.arange(3)])
    session.send(asked)
    answer = session.receive()
    assert answer is not None
    assert answer.calls == [{"error": "the first request must be 'open'"}]


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


@contextmanager
def fake(after: Callable[[Session], None]) -> Iterator[tuple[str, int]]:
    """Takes a client, and then does something else than answer; once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            raw, _ = listener.accept()
            with raw:
                session = accept_session(raw, SECRET, 5.0)
                assert session is not None
                raw.settimeout(5.0)
                session.receive()
                hello = Message()
                hello.add({})
                session.send(hello)
                after(session)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[:2]
        thread.join(10)


def half_an_answer(session: Session) -> None:
    session.receive()
    session.connection.sendall(MAGIC + bytes(20))
    time.sleep(0.6)


def too_many_answers(session: Session) -> None:
    session.receive()
    answer = Message()
    for _ in range(2):
        answer.add({}, [np.arange(3)])
    session.send(answer)


def nonsense(session: Session) -> None:
    session.receive()
    session.connection.sendall(bytes(200))


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (lambda s: time.sleep(0.6), r"must answer within 0.3 s.*launch\.timeout_seconds"),
        (half_an_answer, r"must answer within 0.3 s.*launch\.timeout_seconds"),
        (lambda s: s.receive(), "must stay connected.*Its log says why"),
        (lambda s: None, "must stay connected.*Its log says why"),
        (too_many_answers, "must answer every question"),
        (nonsense, "frames must be of this protocol"),
    ],
    ids=["silence", "half an answer", "dies while asked", "dies before", "too many", "nonsense"],
)
def test_lost_servers(folder: Path, after: Callable[[Session], None], message: str) -> None:
    with fake(after) as address:
        part = client(folder, address, timeout=0.3)
        start = time.monotonic()
        read = part.begin_rows(SIZE, np.arange(2))

        def ask_anew() -> None:
            part.begin_rows(SIZE, np.arange(2)).wait()

        for again in [read.wait, read.wait, ask_anew, lambda: part.column(SIZE)]:
            with pytest.raises(LaunchError, match=message):  # again and again the same
                again()
        assert time.monotonic() - start < 3
        assert part._connection._session is None


def test_a_server_that_stops(folder: Path, tmp_path: Path) -> None:
    with serving(folder, 0, tmp_path) as server:
        part = client(folder, server.address)
        works(folder, part)
    with pytest.raises(LaunchError, match="must stay connected"):
        works(folder, part)
    with pytest.raises(LaunchError, match="must stay connected"):
        works(folder, part)
    with pytest.raises(ConnectionRefusedError):
        reach(server)


def test_a_server_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
        with pytest.raises(LaunchError, match=r"must identify itself within 0.2 s"):
            works(folder, client(folder, address))
    with pytest.raises(LaunchError, match=rf"127.0.0.1:{address[1]}: must be reachable within 0.2 s"):
        works(folder, client(folder, address))


def test_an_interrupt_does_not_leave_half_an_answer(
    folder: Path, part: RemotePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(folder, part)
    read = part.begin_rows(SIZE, np.arange(2))

    receive = Session.receive

    def interrupt(session: Session) -> Message | None:
        if session._sending == b"c":
            raise KeyboardInterrupt
        return receive(session)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read.wait()
    with pytest.raises(LaunchError, match="was interrupted"):
        works(folder, part)


def test_nothing_is_left_of_connections(folder: Path, server: GraphServer) -> None:
    def count() -> tuple[int, int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd")), len(server._connections)

    works(folder, first := client(folder, server.address))
    close([first])
    until(lambda: not server._connections)
    before = count()
    parts = [client(folder, server.address) for _ in range(50)]
    for part in parts:
        works(folder, part)
    assert count()[0] >= before[0] + 50
    close(parts)
    until(lambda: count() == before)
    assert server._strangers == {}
