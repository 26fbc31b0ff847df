"""Messages between trainers and servers: calls as JSON, their arrays as raw bytes, both in Arrow's IPC format.

    question = an Arrow stream in a Flight ticket; answer = the record batches of a Flight stream
    schema   = a column of bytes for each array; its metadata hold the calls, and the arrays' types and shapes
    batch    = one row: a piece of every array

Nothing is unpickled, ever.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.errors import LaunchError

PLAIN = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
"""dtypes that can be sent: numbers and booleans, in either byte order. Never objects."""
PIECE_BYTES = 1 << 28
"""Bytes of a record batch: Flight sends at most 2 GiB in one."""
MAX_QUESTION = 1 << 30
"""Bytes of a question, which is a single message of gRPC."""
_HEADER = b"gsl"

Call = dict[str, Any]
"""One request or answer: JSON values; its arrays are sent separately, in order."""
Arrays = list[Any]


@dataclass
class Message:
    """Several calls, each with its arrays (numpy, or Arrow strings). view: which view of a partition is asked, as the
    server named it."""

    calls: list[Call] = field(default_factory=list)
    arrays: list[Arrays] = field(default_factory=list)
    view: str = ""

    def add(self, call: Call, arrays: Sequence[Any] = ()) -> None:
        """One more call."""
        self.calls.append(call)
        self.arrays.append(list(arrays))


def to_batches(message: Message) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """A message as record batches, which share the arrays' memory. TypeError when it cannot be sent."""
    contents: list[npt.NDArray[np.uint8]] = []
    described = []
    for arrays in message.arrays:
        described.append([_describe(array, contents) for array in arrays])
    header = json.dumps({"view": message.view, "calls": message.calls, "arrays": described}).encode()
    fields = [pa.field(str(number), pa.large_binary()) for number in range(len(contents))]
    schema = pa.schema(fields, metadata={_HEADER: header})
    if not contents:
        return schema, []
    count = max(math.ceil(sum(content.nbytes for content in contents) / PIECE_BYTES), 1)
    batches = []
    for number in range(count):
        columns = [_one_row(content, number, count) for content in contents]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return schema, batches


def from_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Message:
    """The message in record batches; its arrays are views of their memory where one batch holds all. Raises LaunchError
    when it is malformed."""
    try:
        return _message(schema, list(batches))
    except Exception as err:  # JSON, numpy and Arrow raise many types of errors on malformed input
        raise LaunchError(
            f"messages must be of this protocol ({type(err).__name__}: {err}). Are the versions of both sides the same?"
        ) from None


def to_bytes(message: Message) -> bytes:
    """A question. LaunchError when it is too large; TypeError when it cannot be sent."""
    schema, batches = to_batches(message)
    size = sum(batch.nbytes for batch in batches)
    if size > MAX_QUESTION:
        raise LaunchError(f"questions must be smaller than {MAX_QUESTION:,} bytes (got {size:,})")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def from_bytes(raw: bytes) -> Message:
    """The question that `to_bytes` has written. Raises LaunchError when it is malformed."""
    try:
        reader = pa.ipc.open_stream(pa.py_buffer(raw))
        schema, batches = reader.schema, list(reader)
    except (pa.ArrowException, OSError, EOFError) as err:
        raise LaunchError(f"questions must be Arrow streams ({err})") from None
    return from_batches(schema, batches)


def _one_row(content: npt.NDArray[np.uint8], number: int, count: int) -> pa.Array:
    """Piece `number` of `count` of an array's bytes, as the only row of a column."""
    size = len(content)
    piece = content[size * number // count : size * (number + 1) // count]
    offsets = np.array([0, len(piece)], dtype=np.int64)
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(piece)])


def _describe(array: Any, contents: list[npt.NDArray[np.uint8]]) -> list[Any]:
    """[dtype, shape] of an array; its bytes are added to the contents."""
    if isinstance(array, pa.Array):
        sink = pa.BufferOutputStream()
        batch = pa.record_batch([array], names=["a"])
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        contents.append(np.frombuffer(sink.getvalue(), dtype=np.uint8))
        return ["arrow", [len(array)]]
    contiguous = np.ascontiguousarray(array)
    if not PLAIN.fullmatch(contiguous.dtype.str):
        raise TypeError(f"arrays of {contiguous.dtype} cannot be sent")
    contents.append(contiguous.reshape(-1).view(np.uint8))
    return [contiguous.dtype.str, list(array.shape)]


def _message(schema: pa.Schema, batches: list[pa.RecordBatch]) -> Message:
    content = json.loads((schema.metadata or {})[_HEADER])
    for batch in batches:
        batch.validate(full=True)
    contents = iter([_bytes_of(batches, number) for number in range(len(schema))])
    message = Message(view=content["view"])
    for call, described in zip(content["calls"], content["arrays"], strict=True):
        if not isinstance(call, dict):
            raise TypeError(f"a call must be an object (got {type(call).__name__})")
        message.add(call, [_restore(kind, shape, next(contents)) for kind, shape in described])
    return message


def _bytes_of(batches: list[pa.RecordBatch], number: int) -> npt.NDArray[np.uint8]:
    pieces = []
    for batch in batches:
        if len(batch) != 1 or batch.schema.field(number).type != pa.large_binary():
            raise ValueError(f"a batch must be a row of bytes (got {len(batch)} rows)")
        column = batch.column(number)
        _, offsets, content = column.buffers()
        start, stop = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + 2]
        whole = np.zeros(0, dtype=np.uint8) if content is None else np.frombuffer(content, dtype=np.uint8)
        pieces.append(whole[start:stop])  # not by Arrow's scalars, which copy
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


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
