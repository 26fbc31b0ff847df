"""Record batches that are kept for later, in memory or in files.

`BatchSpool` gives them back in order, as often as wanted. `Buckets` deals their rows out to files by a number per row,
and `Dealt` puts one number per row that was computed bucket by bucket back into the order of the rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

NUM_BUCKETS = 64
"""Files that rows are dealt out to: a budget of 8 GB holds one of 64 parts of half a terabyte."""


class BatchSpool:
    """Batches of one schema, in the order in which they were appended; a file once they exceed `memory` bytes."""

    def __init__(self, path: Path, memory: int) -> None:
        self._path, self._memory = path, memory
        self._batches: list[pa.RecordBatch] = []
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._bytes = 0
        self._closed = False
        self.rows = 0

    def append(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        self.rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._writer is None and self._bytes > self._memory:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pa.ipc.new_stream(str(self._path), batch.schema)
            for earlier in self._batches:
                self._writer.write_batch(earlier)
            self._batches = []
        if self._writer is None:
            self._batches.append(batch)
        else:
            self._writer.write_batch(batch)

    @property
    def on_disk(self) -> bool:
        """Whether it is a file."""
        return self._writer is not None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """All batches; no more are appended afterwards."""
        self.close()
        yield from read_stream(self._path) if self.on_disk else self._batches

    def close(self) -> None:
        """Everything is there. To be called before several threads read it."""
        if self._writer is not None and not self._closed:
            self._writer.close()
            self._closed = True

    def delete(self) -> None:
        """Free memory and disk."""
        self.close()
        self._path.unlink(missing_ok=True)
        self._batches = []


def read_stream(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a file, one at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        yield from reader


class Buckets:
    """Files of rows that belong together. Within a bucket the rows stay in the order in which they came. memory: bytes
    that are gathered before they are written."""

    def __init__(self, folder: Path, count: int = NUM_BUCKETS, *, memory: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.count = folder, count
        self.rows = np.zeros(count, np.int64)
        self._memory = memory
        self._pending: list[list[pa.RecordBatch]] = [[] for _ in range(count)]
        self._pending_bytes = 0
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self._schema: pa.Schema | None = None

    def add(self, bucket: np.ndarray, batch: pa.RecordBatch) -> None:
        """Deal out a batch. bucket: uint8 (rows)"""
        self._schema = batch.schema
        order = np.argsort(bucket, kind="stable")
        dealt = batch.take(pa.array(order))
        ends = np.cumsum(np.bincount(bucket, minlength=self.count))
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                self._pending[number].append(dealt.slice(start, end - start))
                self.rows[number] += end - start
            start = end
        self._pending_bytes += dealt.nbytes
        if self._pending_bytes > self._memory:
            self._flush()

    def read(self, bucket: int) -> Iterator[pa.RecordBatch]:
        """The rows of one bucket; no more are added afterwards."""
        self.close()
        if bucket in self._writers:
            yield from read_stream(self._path(bucket))

    def table(self, bucket: int) -> pa.Table:
        """All rows of one bucket; at least one batch was added."""
        return pa.Table.from_batches(self.read(bucket), self._schema)

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        for writer in self._writers.values():
            writer.close()

    def delete(self) -> None:
        """Free the disk."""
        self.close()
        shutil.rmtree(self.folder)

    def _flush(self) -> None:
        for number, pieces in enumerate(self._pending):
            if not pieces:
                continue
            if number not in self._writers:
                self._writers[number] = pa.ipc.new_stream(str(self._path(number)), pieces[0].schema)
            whole = pa.Table.from_batches(pieces).combine_chunks()
            self._writers[number].write_table(whole)
            self._pending[number] = []
        self._pending_bytes = 0

    def _path(self, bucket: int) -> Path:
        return self.folder / f"{bucket}.arrows"


class Dealt:
    """Remembers which bucket each row went to, and puts numbers of the buckets' rows back into the rows' order."""

    def __init__(self, folder: Path, count: int = NUM_BUCKETS) -> None:
        self._folder, self._count = folder, count
        self._lengths: list[int] = []
        self._file: IO[bytes] = open(folder / "buckets", "wb")  # noqa: SIM115

    def add(self, bucket: np.ndarray) -> None:
        """The bucket of each row of a batch. uint8 (rows)"""
        self._file.write(bucket.tobytes())
        self._lengths.append(len(bucket))

    def put(self, bucket: int, numbers: Iterable[np.ndarray]) -> None:
        """The numbers of all rows of a bucket. int64"""
        with open(self._folder / f"{bucket}.numbers", "wb") as file:
            for piece in numbers:
                file.write(piece.tobytes())

    def numbers(self) -> Iterator[np.ndarray]:
        """int64 (rows) of each batch; every bucket that has rows was put."""
        self._file.close()
        files: dict[int, Any] = {}
        try:
            with open(self._folder / "buckets", "rb") as dealt:
                for length in self._lengths:
                    bucket = np.frombuffer(dealt.read(length), np.uint8)
                    yield self._of_batch(bucket, files)
        finally:
            for file in files.values():
                file.close()

    def _of_batch(self, bucket: np.ndarray, files: dict[int, Any]) -> np.ndarray:
        parts = [np.empty(0, np.int64)]
        counts = np.bincount(bucket, minlength=self._count)
        for number in np.flatnonzero(counts).tolist():
            if number not in files:
                files[number] = open(self._folder / f"{number}.numbers", "rb")  # noqa: SIM115
            parts.append(np.frombuffer(files[number].read(8 * int(counts[number])), np.int64))
        numbers = np.empty(len(bucket), np.int64)
        numbers[np.argsort(bucket, kind="stable")] = np.concatenate(parts)
        return numbers
