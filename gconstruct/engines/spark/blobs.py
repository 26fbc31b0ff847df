"""Rows as bytes that Spark's executors send each other: Arrow IPC streams of one record batch.

Spark then moves few large values instead of rows: they are neither converted nor parsed on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from gconstruct.write import file_options, to_arrow

BLOB_BYTES = 64 << 20
"""About the most that one blob holds. PySpark's limit is 2 GB, and a task holds a few of them at a time."""
IDS, ROWS, POSITIONS, ORDER = "id", "row", "position", "order"
"""Columns of blobs. position: number of a node in the graph folder; order: its number before nodes were given to
partitions, by which the edges of one target are sorted."""
INDEX, REQUEST = 0, 1
"""What is sent to a bucket, as the second item of a key: ids of nodes, and ids that a piece asks for."""
LEFT_OUT, PARTS, CREATED, DEGREES = 0, 1, 2, 3
"""What is sent to a piece, as the second item of a key: rows to leave out; partitions of its nodes; ids of created
nodes; degrees."""
SOURCE, TARGET, REPEATED, NEGATIVES = 0, 1, 2, 3
"""What is sent to a piece of edges: positions of sources and of targets; rows to leave out; hard negatives with their
positions."""
Columns = Mapping[str, np.ndarray | pa.Array]


def batch_of(columns: Columns) -> pa.RecordBatch:
    """numpy (n,) and (n, width) and Arrow columns as one record batch."""
    return pa.record_batch([to_arrow(values) for values in columns.values()], names=list(columns))


def pack(batch: pa.RecordBatch) -> bytes:
    """A record batch as bytes; of a slice only its own rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=file_options(batch.num_rows)) as writer:
        writer.write_batch(batch)
    blob: bytes = sink.getvalue().to_pybytes()
    return blob


def unpack(blob: bytes) -> pa.RecordBatch:
    """The record batch, without a copy."""
    with pa.ipc.open_stream(blob) as reader:
        return reader.read_next_batch()


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches with the same columns, one after another; at least one."""
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def split(batch: pa.RecordBatch, numbers: np.ndarray) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(number, its rows in their order) for every number that occurs; numbers: int (n), one a row."""
    if not len(numbers):
        return
    low, high = int(numbers.min()), int(numbers.max())
    if low == high:
        yield low, batch
        return
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=low - 1))
    rows = batch.take(pa.array(order))
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        yield int(ordered[start]), rows.slice(start, stop - start)


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts of about BLOB_BYTES; one at least."""
    rows = max(1, batch.num_rows * BLOB_BYTES // max(batch.nbytes, 1))
    for start in range(0, max(batch.num_rows, 1), rows):
        yield batch.slice(start, rows)


def by_order(pairs: Iterable[tuple[tuple[int, ...], bytes]]) -> list[pa.RecordBatch]:
    """Blobs with keys, in the order of the keys: shuffles keep none."""
    return [unpack(blob) for _, blob in sorted(pairs, key=_key)]


def _key(pair: tuple[tuple[int, ...], bytes]) -> tuple[int, ...]:
    return pair[0]
