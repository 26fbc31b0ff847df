"""Messages: a JSON header and raw arrays in one frame, authenticated. Nothing is unpickled, ever.

    frame   = magic, lengths of header and body, HMAC-SHA256 of these and of the header, header (JSON), body (arrays,
              8-aligned), HMAC-SHA256 of the body when there is one
    session = clients must prove that they know the job's secret, and so must servers: each answers the other's
              challenge, and the secret itself is never sent. The session's HMAC key is derived from both
              challenges, and each HMAC covers the frame's number and direction, so that no frame can be forged,
              repeated, dropped or sent back.

At most 68 bytes are read from a peer that has not proved that it knows the secret. Contents are not encrypted: keeping
them secret takes a trusted network, but no stranger can change them or send any.
"""

from __future__ import annotations

import hmac
import json
import math
import os
import re
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.errors import LaunchError

MAGIC = b"GSL1"
_PREFIX = struct.Struct(">4sQQ")
_CHALLENGE, _MAC = 32, 32
MAX_HEADER, MAX_BODY = 1 << 26, 1 << 36
"""Bytes. Far above any real message: larger numbers mean that the two sides do not speak the same protocol."""

SMALL = 1 << 18
"""Bytes of a body up to which one copy is cheaper than a system call per array."""
PIECE = 1 << 20
"""Bytes that are hashed and sent, or received and hashed, at a time, so that both sides hash in parallel. Hashing is
more than half of the work of a large message: HMAC-SHA256 does 1.4-2.0 GB/s, keyed BLAKE2b 1.0-1.4 on the same core."""

PLAIN = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
"""dtypes that can be sent: numbers and booleans, in either byte order. Never objects."""
REFUSED = bytes(_MAC)
"""What a server sends, in place of its own proof, to a client that does not know the secret."""

Call = dict[str, Any]
"""One request or answer: JSON values; its arrays are sent separately, in order."""
Arrays = list[Any]


@dataclass
class Message:
    """Several calls, each with its arrays (numpy, or Arrow strings)."""

    calls: list[Call] = field(default_factory=list)
    arrays: list[Arrays] = field(default_factory=list)

    def add(self, call: Call, arrays: Sequence[Any] = ()) -> None:
        """One more call."""
        self.calls.append(call)
        self.arrays.append(list(arrays))


class Session:
    """Frames over a connected socket whose other side has proved that it knows the secret. Not for concurrent use."""

    def __init__(self, connection: socket.socket, key: bytes, is_server: bool) -> None:
        self.connection, self._key = connection, key
        self._sending, self._receiving = (b"s", b"c") if is_server else (b"c", b"s")
        self._sent = self._received = 0
        self.bytes = 0
        """Bytes of all frames so far, in both directions."""

    @property
    def frames(self) -> int:
        """Number of frames so far, in both directions."""
        return self._sent + self._received

    def send(self, message: Message) -> None:
        """Send a whole message. Raises OSError; TypeError and LaunchError, before anything is sent, for a message that
        cannot be sent."""
        buffers: list[npt.NDArray[np.uint8]] = []
        described = []
        for arrays in message.arrays:
            described.append([_describe(array, buffers) for array in arrays])
        header = json.dumps({"calls": message.calls, "arrays": described}).encode()
        body_size = sum(_padded(b.nbytes) for b in buffers)
        if len(header) > MAX_HEADER or body_size > MAX_BODY:
            raise LaunchError(f"{_peer(self.connection)}: messages must be smaller (got {body_size:,} bytes)")
        prefix = _PREFIX.pack(MAGIC, len(header), body_size)
        number, self._sent = self._sent, self._sent + 1
        proof = self._digest(self._sending, number, b"h", prefix + header)
        head = prefix + proof + header
        self.bytes += len(head) + body_size + (_MAC if body_size else 0)
        if body_size <= SMALL:
            pieces: list[Any] = []
            for buffer in buffers:
                pieces += [buffer.data, bytes(_padded(buffer.nbytes) - buffer.nbytes)]
            body = b"".join(pieces)
            end = self._digest(self._sending, number, b"b", proof + body) if body else b""
            self.connection.sendall(head + body + end)
            return
        self.connection.sendall(head)
        mac = hmac.new(self._key, _start(self._sending, number, b"b") + proof, "sha256")
        for buffer in buffers:
            for at in range(0, buffer.nbytes, PIECE):
                piece = buffer[at : at + PIECE].data
                mac.update(piece)
                self.connection.sendall(piece)
            if padding := bytes(_padded(buffer.nbytes) - buffer.nbytes):
                mac.update(padding)
                self.connection.sendall(padding)
        self.connection.sendall(mac.digest())

    def receive(self) -> Message | None:
        """The next message; None when the other side has closed. Raises OSError, and LaunchError for a bad frame, after
        which the session cannot be used."""
        first = bytearray(_PREFIX.size + _MAC)
        if not (size := self.connection.recv_into(first)):
            return None
        read_into(self.connection, memoryview(first)[size:])
        prefix, proof = bytes(first[: _PREFIX.size]), bytes(first[_PREFIX.size :])
        magic, header_size, body_size = _PREFIX.unpack(prefix)
        if magic != MAGIC or header_size > MAX_HEADER or body_size > MAX_BODY:
            raise LaunchError(f"{_peer(self.connection)}: frames must be of this protocol (got {prefix[:8]!r})")
        header = read_exactly(self.connection, header_size)
        self._check(self._digest(self._receiving, self._received, b"h", prefix + header), proof)
        body = self._receive_body(body_size, proof)
        self._received += 1
        self.bytes += len(first) + header_size + body_size + (_MAC if body_size else 0)
        try:
            return _message(header, body)
        except Exception as err:  # JSON, numpy and Arrow raise many types of errors on malformed input
            raise LaunchError(
                f"{_peer(self.connection)}: messages must be of this protocol ({type(err).__name__}: {err}). Are the "
                f"versions of both sides the same?"
            ) from None

    def _receive_body(self, size: int, proof: bytes) -> npt.NDArray[np.uint8]:
        """size: already authenticated. proof: the header's HMAC, which the body's HMAC covers."""
        if not size:
            return np.empty(0, dtype=np.uint8)
        try:
            whole: npt.NDArray[np.uint8] = np.empty(size + _MAC, dtype=np.uint8)
        except MemoryError:
            raise LaunchError(f"{_peer(self.connection)}: not enough memory for a message of {size:,} bytes") from None
        view = memoryview(whole.data)
        if size <= SMALL:
            read_into(self.connection, view)
            self._check(self._digest(self._receiving, self._received, b"b", proof + view[:size]), view[size:])
            return whole[:size]
        mac = hmac.new(self._key, _start(self._receiving, self._received, b"b") + proof, "sha256")
        for at in range(0, size, PIECE):
            stop = min(at + PIECE, size)
            read_into(self.connection, view[at : stop if stop < size else len(whole)])
            mac.update(view[at:stop])
        self._check(mac.digest(), view[size:])
        return whole[:size]

    def _digest(self, direction: bytes, number: int, part: bytes, content: bytes) -> bytes:
        return hmac.digest(self._key, _start(direction, number, part) + content, "sha256")

    def _check(self, expected: bytes, received: bytes | memoryview) -> None:
        if not hmac.compare_digest(expected, received):
            raise LaunchError(
                f"{_peer(self.connection)}: frames must be authentic (the HMAC of frame {self._received} is wrong)"
            )

    def close(self) -> None:
        """Close the socket."""
        self.connection.close()


def _start(direction: bytes, number: int, part: bytes) -> bytes:
    return direction + part + struct.pack(">Q", number)


def _describe(array: Any, buffers: list[npt.NDArray[np.uint8]]) -> list[Any]:
    """[dtype, shape, bytes] of an array; its content is added to the buffers."""
    if isinstance(array, pa.Array):
        sink = pa.BufferOutputStream()
        batch = pa.record_batch([array], names=["a"])
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        raw = np.frombuffer(sink.getvalue(), dtype=np.uint8)
        buffers.append(raw)
        return ["arrow", [len(array)], raw.nbytes]
    contiguous = np.ascontiguousarray(array)
    if not PLAIN.fullmatch(contiguous.dtype.str):
        raise TypeError(f"arrays of {contiguous.dtype} cannot be sent")
    buffers.append(contiguous.reshape(-1).view(np.uint8))
    return [contiguous.dtype.str, list(array.shape), contiguous.nbytes]


def _message(header: bytes, body: npt.NDArray[np.uint8]) -> Message:
    """The message in an authenticated frame. Raises any exception when it is malformed."""
    content = json.loads(header)
    message, at = Message(), 0
    for call, described in zip(content["calls"], content["arrays"], strict=True):
        if not isinstance(call, dict):
            raise TypeError(f"a call must be an object (got {type(call).__name__})")
        arrays = []
        for kind, shape, size in described:
            if not isinstance(size, int) or not 0 <= size <= len(body) - at:
                raise ValueError(f"an array must lie in the body (got {size!r} bytes)")
            arrays.append(_restore(kind, shape, body[at : at + size]))
            at += _padded(size)
        message.add(call, arrays)
    return message


def _restore(kind: str, shape: list[int], raw: npt.NDArray[np.uint8]) -> Any:
    if kind == "arrow":
        column = pa.ipc.open_stream(pa.py_buffer(raw)).read_next_batch().column(0)
        column.validate()
        return column
    if not PLAIN.fullmatch(kind):
        raise ValueError(f"dtype must be one of numbers (got '{kind}')")
    dtype = np.dtype(kind)
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"shape must fit the bytes (got {shape} {kind} in {len(raw)})")
    return raw.view(dtype).reshape(shape)


def _padded(size: int) -> int:
    return -(-size // 8) * 8


def read_exactly(connection: socket.socket, size: int, deadline: float | None = None) -> bytes:
    """`size` bytes; ConnectionError when the other side closes early, TimeoutError after the deadline (monotonic)."""
    buffer = bytearray(size)
    read_into(connection, memoryview(buffer), deadline)
    return bytes(buffer)


def read_into(connection: socket.socket, view: memoryview, deadline: float | None = None) -> None:
    """Fill a buffer. See read_exactly; without a deadline the socket's timeout applies to every piece that arrives."""
    filled = 0
    while filled < len(view):
        if deadline is not None:
            connection.settimeout(max(deadline - time.monotonic(), 1e-3))
        count = connection.recv_into(view[filled:])
        if not count:
            raise ConnectionError("closed in the middle of a message")
        filled += count


def tune(connection: socket.socket) -> None:
    """Send small messages at once, and notice within two minutes that the other host has died silently."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _peer(connection: socket.socket) -> str:
    try:
        host, port = connection.getpeername()[:2]
        return f"{host}:{port}"
    except (OSError, ValueError):
        return "peer"


# -- handshake ---------------------------------------------------------------------------------------------------------


def _prove(secret: bytes, role: bytes, server_challenge: bytes, client_challenge: bytes) -> bytes:
    return hmac.digest(secret, role + server_challenge + client_challenge, "sha256")


def accept_session(connection: socket.socket, secret: bytes, seconds: float) -> Session | None:
    """The server's side: challenge the client. None when the client does not know the secret. Raises OSError, and
    TimeoutError when the whole answer has not arrived within `seconds`."""
    deadline, own_challenge = time.monotonic() + seconds, os.urandom(_CHALLENGE)
    connection.settimeout(seconds)
    connection.sendall(MAGIC + own_challenge)
    answer = read_exactly(connection, len(MAGIC) + _CHALLENGE + _MAC, deadline)
    client_challenge, proof = answer[len(MAGIC) : -_MAC], answer[-_MAC:]
    expected = _prove(secret, b"client", own_challenge, client_challenge)
    if answer[: len(MAGIC)] != MAGIC or not hmac.compare_digest(proof, expected):
        connection.sendall(REFUSED)
        return None
    connection.sendall(_prove(secret, b"server", own_challenge, client_challenge))
    return Session(connection, _prove(secret, b"session", own_challenge, client_challenge), is_server=True)


def open_session(connection: socket.socket, secret: bytes, seconds: float) -> Session:
    """The client's side; LaunchError when one side does not know the secret. Raises OSError: a ConnectionError from a
    server with too many unauthenticated connections is worth another try."""
    deadline = time.monotonic() + seconds
    hello = read_exactly(connection, len(MAGIC) + _CHALLENGE, deadline)
    if hello[: len(MAGIC)] != MAGIC:
        raise LaunchError(f"{_peer(connection)}: must be a graph server (got {hello[:4]!r})")
    server_challenge, own_challenge = hello[len(MAGIC) :], os.urandom(_CHALLENGE)
    connection.sendall(MAGIC + own_challenge + _prove(secret, b"client", server_challenge, own_challenge))
    proof = read_exactly(connection, _MAC, deadline)
    if proof == REFUSED:
        raise LaunchError(f"{_peer(connection)}: refused the job's secret. Is it the server of another job?")
    if not hmac.compare_digest(proof, _prove(secret, b"server", server_challenge, own_challenge)):
        raise LaunchError(f"{_peer(connection)}: must know the job's secret. Is it the server of another job?")
    return Session(connection, _prove(secret, b"session", server_challenge, own_challenge), is_server=False)
