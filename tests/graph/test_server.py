"""Whatever goes wrong between a server and its clients ends in a message, not in silence nor in half an answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

from gconstruct.partition import partition_graph
from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.graph.partition_reader import HIDDEN, HiddenEdges, Partition
from graphstorm_like.graph.remote import client as client_module
from graphstorm_like.graph.remote import server as server_module
from graphstorm_like.graph.remote.messages import Message, to_batches, to_bytes
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.remote.transport import Service, call_options, new_client
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.store import ExcludedEdges
from graphstorm_like.testing.ranks import free_ports

from ..gconstruct.partitioning import LINK, LINK_REV
from .serving import NOTHING, PLAIN, SIZE, client, close, of_host, reach, serving, until, works

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
