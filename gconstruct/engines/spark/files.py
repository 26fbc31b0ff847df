"""Files of partitions, written by executors: each file by one task, from rows that arrive in its order.

Memory: MEMORY_BYTES of columns and, of edges, the rows of one range of targets, which are sorted together. The rest is
on the executor's own disk until the file is complete.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.csc import sorted_ends
from gconstruct.engines.spark.blobs import ORDER, joined, unpack
from gconstruct.engines.spark.cluster import Pair, merged_reports
from gconstruct.spill.columns import ColumnsWriter
from gconstruct.write import write_columns
from graphstorm_like.errors import DataError
from graphstorm_like.files import file_hash
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN, indptr_file
from graphstorm_like.mirror.stores import store_errors, upload

MEMORY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """A file of a partition, and its index pointers if it has edges."""

    rows: int
    hashes: dict[str, str]
    """By path within the graph folder"""
    bytes: int
    repeated: int = 0
    """Edges with the same ends as an earlier one"""
    local: int = 0
    """Edges whose source is in the same partition"""


@dataclass(frozen=True, slots=True)
class GraphFolder:
    """Where the files go: a folder on a file system that all executors share, or a URL."""

    path: str

    @property
    def is_url(self) -> bool:
        """Whether files are made on the executor's own disk, and uploaded."""
        return "://" in self.path

    def make(self, partitions: int) -> None:
        """The partitions' folders, which URLs do not have."""
        for partition in range(0 if self.is_url else partitions):
            for sub in ("nodes", "edges"):
                (Path(self.path) / f"part-{partition}" / sub).mkdir(parents=True)

    def local(self, file: str, scratch: Path) -> Path:
        """Where a file is written first."""
        return scratch / "whole" if self.is_url else Path(self.path) / file

    def finish(self, file: str, written: Path) -> str:
        """The hash of a file that was written; it is where it belongs then."""
        mark = file_hash(written)
        if self.is_url:
            with store_errors():
                upload(str(written), f"{self.path.rstrip('/')}/{file}")
            written.unlink()
        return mark


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The files of one node type, one a partition."""

    folder: GraphFolder
    files: tuple[str, ...]
    """By partition: part-0/nodes/item.arrow ..."""

    def write(self, partition: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """Rows in their order -> the file. (partition,) -> Written."""
        if partition == len(self.files):
            yield merged_reports(incoming)
            return
        file = self.files[partition]
        first = next(incoming, None)
        if first is None:  # the first piece has a problem: there will be no graph
            return
        with _writing(self.folder, file) as (path, writer):
            for _, blob in itertools.chain([first], incoming):
                batch = unpack(blob)
                writer.append(dict(zip(batch.schema.names, batch.columns, strict=True)))
            rows, size = len(writer), writer.finish()
            hashes = {file: self.folder.finish(file, path)}
        yield (partition,), Written(rows, hashes, size)


@dataclass(frozen=True, slots=True)
class EdgeFiles:
    """The files of one edge type, one a partition."""

    folder: GraphFolder
    files: tuple[str, ...]
    source_starts: tuple[int, ...]
    """partitions + 1: the first node of each partition, and the end"""
    target_starts: tuple[int, ...]

    def write(self, partition: int, incoming: Iterator[Pair]) -> Written:
        """Rows by range of targets -> the file, sorted by target and `order` of the source, and index pointers."""
        file, start = self.files[partition], self.target_starts[partition]
        pointers = np.zeros(self.target_starts[partition + 1] - start + 1, np.int64)
        repeated = local = 0
        with _writing(self.folder, file) as (path, writer):
            for _, pairs in itertools.groupby(incoming, key=_range):
                batch = _sorted(joined([unpack(blob) for _, blob in pairs]))
                source, target = (batch.column(name).to_numpy() for name in (SOURCE_COLUMN, TARGET_COLUMN))
                repeated += int(np.count_nonzero((source[1:] == source[:-1]) & (target[1:] == target[:-1])))
                low, high = self.source_starts[partition : partition + 2]
                local += int(np.count_nonzero((source >= low) & (source < high)))
                if len(target):
                    first = int(target[0]) - start + 1
                    degrees = np.bincount(target - target[0])
                    pointers[first : first + len(degrees)] += degrees
                writer.append(dict(zip(batch.schema.names, batch.columns, strict=True)))
            rows, size = len(writer), writer.finish()
            hashes = {file: self.folder.finish(file, path)}
            beside = self.folder.local(indptr_file(file), path.parent)
            size += write_columns(beside, {"indptr": np.cumsum(pointers)})
            hashes[indptr_file(file)] = self.folder.finish(indptr_file(file), beside)
        return Written(rows, hashes, size, repeated, local)


@dataclass(frozen=True, slots=True)
class BothDirections:
    """The files of an edge type and of its reverse, if it has one: receiver = direction * partitions + partition."""

    directions: tuple[EdgeFiles, ...]

    @property
    def receivers(self) -> int:
        """Files"""
        return sum(len(files.files) for files in self.directions)

    def write(self, number: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(receiver,) -> Written."""
        if number == self.receivers:
            yield merged_reports(incoming)
            return
        direction, partition = divmod(number, len(self.directions[0].files))
        first = next(incoming, None)
        if first is not None:  # without any the first piece has a problem: there will be no graph
            rows = itertools.chain([first], incoming)
            yield (number,), self.directions[direction].write(partition, rows)


def _range(pair: Pair) -> int:
    return pair[0][1]


def _sorted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """By target, then order, stably; without the column of the order."""
    target, order = (batch.column(name).to_numpy() for name in (TARGET_COLUMN, ORDER))
    batch = batch.drop_columns([ORDER])
    if not len(target):
        return batch
    low, first = int(target.min()), int(order.min())
    counts = int(order.max()) - first + 1, int(target.max()) - low + 1
    return batch.take(pa.array(sorted_ends(order - first, target - low, *counts)[0]))


@contextmanager
def _writing(folder: GraphFolder, file: str) -> Iterator[tuple[Path, ColumnsWriter]]:
    """Where the file is written, and a writer whose scratch files are on the executor's own disk."""
    disks = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    try:
        with tempfile.TemporaryDirectory(prefix="gsl-spark-", dir=disks[0] or None) as scratch:
            path = folder.local(file, Path(scratch))
            yield path, ColumnsWriter(path, Path(scratch) / "columns", MEMORY_BYTES)
    except OSError as err:
        raise DataError(
            f"{err.filename or f'{folder.path}/{file}'}: the graph folder and the executors' disks must be writable "
            f"(got {err.strerror or err}). Check the disks and their permissions, or set graph.path or spark.local.dir "
            "(in graph.spark.options) to another folder"
        ) from err
