"""Messages: a JSON header and raw arrays in one frame, authenticated. Nothing is unpickled, ever.

    frame   = magic, lengths of header and body, HMAC-SHA256 (32 bytes), header (JSON), body (arrays, 8-aligned)
    session = both sides prove in a challenge that they know the job's secret, without saying it; the key of the
              session's HMAC comes from both challenges, and each frame's HMAC covers its number and direction, so that
              no frame can be forged, repeated, dropped or sent back.

Of a peer that has not proved itself 68 bytes are read, no more. Contents are not encrypted: a trusted network is needed
for secrecy, not for safety.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
import struct
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
"""Bytes. Far above any real message: more means that the two sides do not speak the same language."""

SMALL = 1 << 18
"""Bytes of a body up to which one copy is cheaper than a system call an array."""

Call = dict[str, Any]
"""One question or answer: JSON values; arrays lie beside it, in order."""
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
        """Both ways, of all frames so far."""

    @property
    def frames(self) -> int:
        """Both ways, so far."""
        return self._sent + self._received

    def send(self, message: Message) -> None:
        """Send all of a message. Raises OSError."""
        buffers: list[npt.NDArray[np.uint8]] = []
        described = []
        for arrays in message.arrays:
            described.append([_describe(a, buffers) for a in arrays])
        header = json.dumps({"calls": message.calls, "arrays": described}).encode()
        prefix = _PREFIX.pack(MAGIC, len(header), sum(_padded(b.nbytes) for b in buffers))
        mac = self._start_mac(self._sending, self._sent, prefix, header)
        chunks: list[Any] = []
        for buffer in buffers:
            for chunk in (memoryview(buffer.data), bytes(_padded(buffer.nbytes) - buffer.nbytes)):
                mac.update(chunk)
                chunks.append(chunk)
        self._sent += 1
        head = prefix + mac.digest() + header
        body_size = sum(len(c) for c in chunks)
        self.bytes += len(head) + body_size
        if body_size < SMALL:
            self.connection.sendall(head + b"".join(chunks))
            return
        for chunk in (head, *chunks):
            self.connection.sendall(chunk)

    def receive(self) -> Message | None:
        """The next message; None when the other side has closed. Raises OSError, and LaunchError for a bad frame."""
        first = self.connection.recv(1)
        if not first:
            return None
        prefix = first + read_exactly(self.connection, _PREFIX.size - 1)
        magic, header_size, body_size = _PREFIX.unpack(prefix)
        if magic != MAGIC or header_size > MAX_HEADER or body_size > MAX_BODY:
            raise LaunchError(f"{_peer(self.connection)}: frames must be of this protocol (got {prefix[:8]!r})")
        given = read_exactly(self.connection, _MAC)
        header = read_exactly(self.connection, header_size)
        body: npt.NDArray[np.uint8] = np.empty(body_size, dtype=np.uint8)
        read_into(self.connection, memoryview(body.data))
        mac = self._start_mac(self._receiving, self._received, prefix, header)
        mac.update(body.data)
        if not hmac.compare_digest(mac.digest(), given):
            raise LaunchError(
                f"{_peer(self.connection)}: frames must be authentic (the HMAC of frame {self._received} is wrong)"
            )
        self._received += 1
        self.bytes += _PREFIX.size + _MAC + header_size + body_size
        content = json.loads(header)
        arrays, at = [], 0
        for described in content["arrays"]:
            of_call = []
            for what in described:
                array, at = _restore(what, body, at)
                of_call.append(array)
            arrays.append(of_call)
        return Message(content["calls"], arrays)

    def _start_mac(self, direction: bytes, number: int, prefix: bytes, header: bytes) -> hmac.HMAC:
        return hmac.new(self._key, direction + struct.pack(">Q", number) + prefix + header, "sha256")

    def close(self) -> None:
        """Close the socket."""
        self.connection.close()


def _describe(array: Any, buffers: list[npt.NDArray[np.uint8]]) -> list[Any]:
    """[dtype, shape, bytes] of an array; its bytes go to the buffers."""
    if isinstance(array, pa.Array):
        sink = pa.BufferOutputStream()
        batch = pa.record_batch([array], names=["a"])
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        raw = np.frombuffer(sink.getvalue(), dtype=np.uint8)
        buffers.append(raw)
        return ["arrow", [len(array)], raw.nbytes]
    contiguous = np.ascontiguousarray(array)
    if contiguous.dtype.hasobject:
        raise TypeError("arrays of objects cannot be sent")
    buffers.append(contiguous.reshape(-1).view(np.uint8))
    return [contiguous.dtype.str, list(array.shape), contiguous.nbytes]


def _restore(what: list[Any], body: npt.NDArray[np.uint8], at: int) -> tuple[Any, int]:
    kind, shape, size = what
    raw = body[at : at + size]
    at += _padded(size)
    if kind == "arrow":
        table = pa.ipc.open_stream(pa.py_buffer(raw)).read_all()
        return table.column(0).combine_chunks() if len(table) else pa.array([], pa.large_string()), at
    return raw.view(np.dtype(kind)).reshape(shape), at


def _padded(size: int) -> int:
    return -(-size // 8) * 8


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """`size` bytes; ConnectionError when the other side closes before."""
    buffer = bytearray(size)
    read_into(connection, memoryview(buffer))
    return bytes(buffer)


def read_into(connection: socket.socket, view: memoryview) -> None:
    """Fill a buffer; ConnectionError when the other side closes before."""
    done = 0
    while done < len(view):
        got = connection.recv_into(view[done:])
        if not got:
            raise ConnectionError("closed in the middle of a message")
        done += got


def _peer(connection: socket.socket) -> str:
    try:
        host, port = connection.getpeername()[:2]
        return f"{host}:{port}"
    except OSError:
        return "peer"


# -- who is there ------------------------------------------------------------------------------------------------------


def _prove(secret: bytes, role: bytes, server_challenge: bytes, client_challenge: bytes) -> bytes:
    return hmac.digest(secret, role + server_challenge + client_challenge, "sha256")


def accept_session(connection: socket.socket, secret: bytes) -> Session | None:
    """The server's side: challenge the client. None when it does not know the secret. Raises OSError."""
    mine = os.urandom(_CHALLENGE)
    connection.sendall(MAGIC + mine)
    answer = read_exactly(connection, len(MAGIC) + _CHALLENGE + _MAC)
    theirs, proof = answer[len(MAGIC) : -_MAC], answer[-_MAC:]
    if answer[: len(MAGIC)] != MAGIC or not hmac.compare_digest(proof, _prove(secret, b"client", mine, theirs)):
        return None
    connection.sendall(_prove(secret, b"server", mine, theirs))
    return Session(connection, _prove(secret, b"session", mine, theirs), is_server=True)


def open_session(connection: socket.socket, secret: bytes) -> Session:
    """The client's side; LaunchError when the server does not know the secret. Raises OSError."""
    hello = read_exactly(connection, len(MAGIC) + _CHALLENGE)
    if hello[: len(MAGIC)] != MAGIC:
        raise LaunchError(f"{_peer(connection)}: must be a graph server (got {hello[:4]!r})")
    theirs, mine = hello[len(MAGIC) :], os.urandom(_CHALLENGE)
    connection.sendall(MAGIC + mine + _prove(secret, b"client", theirs, mine))
    try:
        proof = read_exactly(connection, _MAC)
    except ConnectionError:
        raise LaunchError(f"{_peer(connection)}: refused the job's secret. Is it the server of another job?") from None
    if not hmac.compare_digest(proof, _prove(secret, b"server", theirs, mine)):
        raise LaunchError(f"{_peer(connection)}: must know the job's secret. Is it the server of another job?")
    return Session(connection, _prove(secret, b"session", theirs, mine), is_server=False)
