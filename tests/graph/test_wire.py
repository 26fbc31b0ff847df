"""Frames: what goes in comes out, and nothing that was changed, repeated, left out, turned round or cut."""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import os
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote import wire
from graphstorm_like.graph.remote.wire import MAGIC, Message, Session, accept_session, open_session

KEY, SECRET = b"k" * 32, b"s" * 32
DTYPES = ["?", "i1", "u1", "<i2", ">i4", "<i4", "<i8", ">i8", "<u8", "<f2", "<f4", ">f4", "<f8"]


class Tape:
    """A socket that keeps what is sent, and gives what it holds until that ends."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.read = data, 0

    def sendall(self, data: Any) -> None:
        self.data += bytes(data)

    def recv_into(self, view: Any) -> int:
        piece = self.data[self.read : self.read + len(view)]
        view[: len(piece)] = piece
        self.read += len(piece)
        return len(piece)

    def getpeername(self) -> tuple[str, int]:
        raise OSError


def session(data: bytes = b"", is_server: bool = False) -> Session:
    return Session(Tape(data), KEY, is_server)  # type: ignore[arg-type]


def sent(*messages: Message, is_server: bool = False) -> list[bytes]:
    """Frames of one session."""
    sender, found = session(is_server=is_server), []
    for message in messages:
        sender.connection.data = b""  # type: ignore[attr-defined]
        sender.send(message)
        found.append(sender.connection.data)  # type: ignore[attr-defined]
    return found


def message(*arrays: Any, **call: Any) -> Message:
    made = Message()
    made.add(call, arrays)
    return made


def assert_same(one: Any, two: Any) -> None:
    if isinstance(one, pa.Array):
        assert two.type == one.type
        assert two.to_pylist() == one.to_pylist()
        two.validate(full=True)
        return
    assert isinstance(two, np.ndarray)
    assert (two.dtype, two.shape) == (one.dtype, one.shape)
    assert two.tobytes() == one.tobytes()


# ----------------------------------------------------------------------------------------------------------- round trip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
calls = st.dictionaries(st.text(max_size=6), json_values, max_size=4)
numbers = st.sampled_from(DTYPES).flatmap(
    lambda d: hnp.arrays(np.dtype(d), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
texts = st.lists(st.none() | st.text(max_size=5), max_size=6)
arrow = (
    texts.map(lambda v: pa.array(v, pa.large_string()))
    | texts.map(lambda v: pa.array(v, pa.string()))
    | st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=6).map(lambda v: pa.array(v, pa.int64()))
)
messages = st.lists(st.tuples(calls, st.lists(numbers | arrow, max_size=3)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, min_size=1, max_size=3), st.booleans(), st.sampled_from([1, 8, 40, 1 << 20]))
def test_round_trip(content: list[list[Any]], is_server: bool, piece: int) -> None:
    given_ = []
    for of_message in content:
        given_.append(Message())
        for call, arrays in of_message:
            given_[-1].add(call, arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "PIECE", piece)
        if piece < 1 << 20:
            patch.setattr(wire, "SMALL", 0)
        receiver = session(b"".join(sent(*given_, is_server=is_server)), not is_server)
        for expected in given_:
            got = receiver.receive()
            assert got is not None
            assert got.calls == expected.calls
            for one, two in zip(expected.arrays, got.arrays, strict=True):
                assert len(one) == len(two)
                for a, b in zip(one, two):
                    assert_same(a, b)
        assert receiver.receive() is None


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24).reshape(4, 6)[::2, ::3],
        np.arange(24).reshape(4, 6).T,
        np.arange(6)[::-1],
        np.zeros((0, 5), np.float32),
        np.zeros((5, 0), np.float32),
        np.int64(7),
        np.array(True),
        pa.array(["a", None, "bc", ""], pa.large_string()).slice(1, 2),
        pa.array(["a"], pa.large_string()).slice(1),
    ],
    ids=range(9),
)
def test_views_travel_as_what_they_show(array: Any) -> None:
    got = session(*sent(message(array)), is_server=True).receive()
    assert got is not None
    assert_same(array if isinstance(array, pa.Array) else np.asarray(array), got.arrays[0][0])


def test_a_slice_of_a_long_text_column_is_not_sent_whole() -> None:
    column = pa.array(["x" * 1000] * 1000, pa.large_string())
    assert len(sent(message(column.slice(10, 2)))[0]) < 5000


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, []], dtype=object),
        np.array(["text"]),
        np.array([1j]),
        np.array(["2020-01-01"], dtype="M8[s]"),
        np.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
        np.zeros(2, dtype="V8"),
    ],
    ids=lambda a: str(a.dtype),
)
def test_only_numbers_are_sent(array: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        sent(message(array))


# ------------------------------------------------------------------------------------------------------------ tampering

FRAME = message(np.arange(9), pa.array(["a", None], pa.large_string()), do="hops", seed=3)


def positions(frame: bytes) -> dict[str, range]:
    prefix = struct.calcsize(">4sQQ")
    header = int.from_bytes(frame[4:12], "big")
    return {
        "magic": range(4),
        "header size": range(4, 12),
        "body size": range(12, 20),
        "first HMAC": range(prefix, prefix + 32),
        "header": range(prefix + 32, prefix + 32 + header),
        "body": range(prefix + 32 + header, len(frame) - 32),
        "second HMAC": range(len(frame) - 32, len(frame)),
    }


@pytest.mark.parametrize("where", positions(sent(FRAME)[0]))
@pytest.mark.parametrize("large", [False, True])
def test_no_byte_can_be_changed(where: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(wire, "SMALL", 0)
        monkeypatch.setattr(wire, "PIECE", 24)
    frame = sent(FRAME)[0]
    assert session(frame, is_server=True).receive() is not None
    for at in positions(frame)[where]:
        for bit in (1, 128):
            changed = bytearray(frame)
            changed[at] ^= bit
            # A longer header waits for bytes that never come.
            with pytest.raises((LaunchError, ConnectionError)):
                session(bytes(changed), is_server=True).receive()


def test_a_cut_stream_is_a_lost_connection() -> None:
    frame = sent(FRAME)[0]
    assert session(b"", is_server=True).receive() is None
    for length in range(1, len(frame)):
        with pytest.raises(ConnectionError, match="middle"):
            session(frame[:length], is_server=True).receive()


@pytest.mark.parametrize("order", [(0, 0), (1,), (1, 0), (0, 2), (0, 1, 1), (0, 1, 0)], ids=str)
def test_frames_cannot_be_repeated_dropped_or_reordered(order: tuple[int, ...]) -> None:
    frames = sent(*(message(np.arange(3), number=n) for n in range(3)))
    receiver = session(b"".join(frames[i] for i in order), is_server=True)
    good = len([0 for i, n in enumerate(order) if order[: i + 1] == tuple(range(i + 1))])
    for _ in range(good):
        assert receiver.receive() is not None
    with pytest.raises(LaunchError, match="must be authentic"):
        receiver.receive()


def test_frames_cannot_be_sent_back() -> None:
    for is_server in (False, True):
        frame = sent(FRAME, is_server=is_server)[0]
        with pytest.raises(LaunchError, match="must be authentic"):
            session(frame, is_server=is_server).receive()


def test_parts_of_frames_cannot_be_joined() -> None:
    """The head of one message with the body of another of the same form."""
    one, two = sent(message(np.arange(3), number=1))[0], sent(message(np.arange(3) + 1, number=2))[0]
    body = positions(one)["body"].start
    with pytest.raises(LaunchError, match="must be authentic"):
        session(one[:body] + two[body:], is_server=True).receive()
    with pytest.raises(LaunchError, match="must be authentic"):
        Session(Tape(one), b"x" * 32, is_server=True).receive()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "body", "rule"),
    [
        (2**63, 0, "this protocol"),
        (10, 2**63, "this protocol"),
        (wire.MAX_HEADER + 1, 8, "this protocol"),
        (10, wire.MAX_BODY + 1, "this protocol"),
        (10, wire.MAX_BODY, "authentic"),  # legal, but not what the other side has said
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(header: int, body: int, rule: str) -> None:
    receiver = session(struct.pack(">4sQQ", MAGIC, header, body) + bytes(1000), is_server=True)
    tracemalloc.start()
    try:
        with pytest.raises(LaunchError, match=rule):
            receiver.receive()
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_BODY", 64)
    sender = session()
    with pytest.raises(LaunchError, match="must be smaller"):
        sender.send(message(np.arange(9)))
    sender.send(message(np.arange(8)))
    assert session(sender.connection.data, is_server=True).receive() is not None  # type: ignore[attr-defined]


# ----------------------------------------------------------------------------------------- authentic, but not a message


def forged(header: Any, body: bytes = b"") -> bytes:
    """A frame of somebody who knows the key."""
    maker = session()
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    prefix = struct.pack(">4sQQ", MAGIC, len(raw), len(body))
    proof = maker._digest(b"c", 0, b"h", prefix + raw)
    return prefix + proof + raw + body + (maker._digest(b"c", 0, b"b", proof + body) if body else b"")


def test_the_forger_is_right() -> None:
    got = session(forged({"calls": [{}], "arrays": [[["<i8", [1], 8]]]}, bytes(8)), is_server=True).receive()
    assert got is not None
    assert got.arrays[0][0].tolist() == [0]


def of(*described: Any) -> dict[str, Any]:
    return {"calls": [{}], "arrays": [list(described)]}


@pytest.mark.parametrize(
    "header",
    [
        b"", b"{", b"\xff\xfe", b"[" * 100_000, [], 3, None, {}, {"calls": []}, {"calls": [{}], "arrays": []},
        {"calls": [[]], "arrays": [[]]}, {"calls": [None], "arrays": [[]]}, {"calls": 1, "arrays": 1}, of(1), of([]),
        of(["<i8", [2], 8]), of(["<i8", [-1], 8]), of(["<i8", [-1, -1], 8]), of(["<i8", [1], -8]), of(["<i8", 1, 8]),
        of(["<i8", [1], 8.0]), of(["<i8", [1], "8"]), of(["<i8", [1.0], 8]), of(["<i8", [1], 24]), of([8, [1], 8]),
        of(["<i8", [1], 8], ["<i8", [2], 16]), of(["<i8", [2**62, 4], 0]), of(["<i8", [1], None]),
        of(["O", [1], 8]), of(["|O", [1], 8]), of(["object", [1], 8]), of(["V8", [1], 8]), of(["<U2", [1], 8]),
        of(["S8", [1], 8]), of(["<M8[s]", [1], 8]), of(["<c8", [1], 8]), of(["i8,O", [1], 16]),
        of(["nonsense", [1], 8]), of(["<i8\n", [1], 8]), of(["arrow", [1], 8]), of(["arrow", [1], 0]),
    ],
    ids=lambda h: str(h)[:40],
)  # fmt: skip
def test_malformed_messages_are_refused(header: Any) -> None:
    with pytest.raises(LaunchError, match="messages must be of this protocol"):
        session(forged(header, bytes(16)), is_server=True).receive()


@settings(max_examples=200, deadline=None)
@given(st.recursive(json_values, lambda v: st.fixed_dictionaries({"calls": v, "arrays": v})), st.binary(max_size=40))
def test_any_header_is_a_message_or_refused(header: Any, body: bytes) -> None:
    with contextlib.suppress(LaunchError):
        assert isinstance(session(forged(header, body), is_server=True).receive(), Message)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_broken_arrow_is_refused_or_read(at: int, value: int) -> None:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([pa.array(["one", None, "three"], pa.large_string())], names=["a"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    raw = bytearray(sink.getvalue().to_pybytes())
    raw[at % len(raw)] = value
    try:
        got = session(forged(of(["arrow", [3], len(raw)]), bytes(raw)), is_server=True).receive()
        assert isinstance(got, Message)
    except LaunchError:
        pass


# ------------------------------------------------------------------------------------------------------------ handshake


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """(client, server)"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def beside(work: Callable[[], Any]) -> Callable[[], Any]:
    """Run in a thread; the result waits for it and gives what it gave or raises what it raised."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((work(), None))
        except Exception as err:
            found.append((None, err))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> Any:
        thread.join(10)
        value, err = found[0]
        if err is not None:
            raise err
        return value

    return result


def test_sessions_over_a_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    server = beside(lambda: accept_session(pair[1], SECRET, 5.0))
    client = open_session(pair[0], SECRET, 5.0)
    other = server()
    big = np.random.default_rng(0).integers(0, 255, size=5 << 20, dtype=np.uint8)
    for number in range(3):
        waits = beside(other.receive)
        client.send(message(big, number=number))
        got = waits()
        assert (got.calls[0]["number"], got.arrays[0][0].tobytes() == big.tobytes()) == (number, True)
        other.send(message(np.arange(3), pa.array(["x"])))
        answer = client.receive()
        assert answer is not None
        assert answer.arrays[0][0].tolist() == [0, 1, 2]
    client.close()
    assert other.receive() is None


def test_two_sessions_have_different_keys(pair: tuple[socket.socket, socket.socket]) -> None:
    keys = set()
    for _ in range(3):
        server = beside(lambda: accept_session(pair[1], SECRET, 5.0))
        one, two = open_session(pair[0], SECRET, 5.0)._key, server()._key
        assert one == two
        keys.add(one)
    assert len(keys) == 3
    assert SECRET not in keys


def test_a_client_without_the_secret_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    server = beside(lambda: accept_session(pair[1], SECRET, 5.0))
    with pytest.raises(LaunchError, match="refused the job's secret"):
        open_session(pair[0], b"another secret" * 3, 5.0)
    assert server() is None


def test_a_server_without_the_secret_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    def pretend() -> None:
        pair[1].sendall(MAGIC + os.urandom(32))
        wire.read_exactly(pair[1], 68)
        pair[1].sendall(os.urandom(32))

    done = beside(pretend)
    with pytest.raises(LaunchError, match="must know the job's secret"):
        open_session(pair[0], SECRET, 5.0)
    done()


def test_a_proof_cannot_be_reflected(pair: tuple[socket.socket, socket.socket]) -> None:
    """A server that gives the client its own challenge and proof back."""

    def pretend() -> None:
        pair[1].sendall(MAGIC + bytes(32))
        pair[1].sendall(wire.read_exactly(pair[1], 68)[-32:])

    done = beside(pretend)
    with pytest.raises(LaunchError, match="must know the job's secret"):
        open_session(pair[0], SECRET, 5.0)
    done()


def test_another_service_is_told_from_a_server(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(LaunchError, match="must be a graph server.*HTTP"):
        open_session(pair[0], SECRET, 5.0)


@pytest.mark.parametrize("of_server", [True, False])
def test_bytes_that_drip_stretch_no_handshake(pair: tuple[socket.socket, socket.socket], of_server: bool) -> None:
    stop = threading.Event()

    def drip() -> None:
        for byte in itertools.cycle(MAGIC):
            if stop.wait(0.05):
                return
            pair[not of_server].sendall(bytes([byte]))

    dripping, start = beside(drip), time.monotonic()
    with pytest.raises(TimeoutError):
        accept_session(pair[1], SECRET, 0.3) if of_server else open_session(pair[0], SECRET, 0.3)
    assert time.monotonic() - start < 1.5
    stop.set()
    dripping()


# ----------------------------------------------------------------------------------------------------------- house rule


def test_nothing_is_ever_unpickled() -> None:
    modules = sorted(Path(wire.__file__).parent.glob("*.py"))
    assert len(modules) >= 6
    banned = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "torch", "multiprocessing"}
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not banned & {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in banned, path
            elif isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                assert name not in ("eval", "exec", "loads", "load") or ast.unparse(node.func) == "json.loads", path
                assert not [k for k in node.keywords if k.arg == "allow_pickle"], path
