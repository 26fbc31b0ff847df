"""A graph folder's files, memory-mapped: tables over all of its partitions.

Numbers come as numpy (n,) or (n, width), everything else as Arrow arrays: the forms that `write_columns` takes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pyarrow as pa

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import PartitionSchema, indptr_file

_KEPT = 32 << 20
"""Bytes"""


class OpenFiles:
    """Files of one record batch each, mapped. The pages of a map that were read count as memory of the process until
    `forget`; they are read again when they are asked for."""

    def __init__(self) -> None:
        self._maps: WeakSet[mmap.mmap] = WeakSet()
        self._read = 0

    def open(self, path: Path) -> pa.RecordBatch:
        """The one record batch of a file. Raises DataError when it is missing or broken."""
        try:
            with open(path, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            reader = pa.ipc.open_file(pa.py_buffer(mapped))
            if reader.num_record_batches != 1:
                raise DataError(f"{path}: must have one record batch (got {reader.num_record_batches})")
            self._maps.add(mapped)
            return reader.get_batch(0)
        except (OSError, ValueError, pa.ArrowInvalid) as err:  # ValueError: an empty file
            raise DataError(f"{path}: must be an Arrow file as `gsl construct` writes it ({err})") from None

    def was_read(self, size: int) -> None:
        """So many more bytes were looked at; `forget` from time to time."""
        self._read += size
        if self._read > _KEPT:
            self.forget()

    def forget(self) -> None:
        """Give the pages back."""
        self._read = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)


def open_file(path: Path) -> pa.RecordBatch:
    """The one record batch of a file. Raises DataError when it is missing or broken."""
    return OpenFiles().open(path)


class Rows:
    """A table of n rows in consecutive pieces."""

    def __init__(self, pieces: Sequence[pa.RecordBatch]) -> None:
        self.pieces = pieces
        self._starts = np.cumsum([0, *(piece.num_rows for piece in pieces)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def row_bytes(self) -> float:
        """Bytes of a row, on average."""
        return float(sum(piece.nbytes for piece in self.pieces)) / max(len(self), 1)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.pieces[0].schema.names
        return names

    def numbers(self, name: str) -> np.ndarray:
        """A complete column of numbers (n); no copy when there is one piece."""
        columns = [piece.column(name).to_numpy() for piece in self.pieces]
        return columns[0] if len(columns) == 1 else np.concatenate(columns)

    def whole(self) -> dict[str, np.ndarray | pa.Array]:
        """All rows of all columns; no copy when there is one piece."""
        columns: dict[str, np.ndarray | pa.Array] = {}
        for name in self.names:
            parts = [_plain(piece.column(name)) for piece in self.pieces]
            if len(parts) == 1:
                columns[name] = parts[0]
            elif all(isinstance(part, np.ndarray) for part in parts):
                columns[name] = np.concatenate(parts)
            else:
                columns[name] = pa.concat_arrays([_to_arrow(part) for part in parts])
        return columns

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray | pa.Array]:
        """Some rows of all columns; nothing else is read."""
        where = np.searchsorted(self._starts, rows, side="right") - 1
        at = [np.flatnonzero(where == p) for p in range(len(self.pieces))] if len(self.pieces) > 1 else []
        return {name: self._take(name, rows, at) for name in self.names}

    def _take(self, name: str, rows: np.ndarray, at: list[np.ndarray]) -> np.ndarray | pa.Array:
        columns = [_plain(piece.column(name)) for piece in self.pieces]
        if len(columns) == 1:
            return _of(columns[0], rows)
        parts = [
            _of(c, rows[of_piece] - self._starts[p]) for p, (c, of_piece) in enumerate(zip(columns, at, strict=True))
        ]
        back = np.empty(len(rows), np.int64)
        back[np.concatenate(at)] = np.arange(len(rows))
        if all(isinstance(part, np.ndarray) for part in parts):
            return _of(np.concatenate(parts), back)
        return _of(pa.concat_arrays([_to_arrow(part) for part in parts]), back)


class GraphFiles:
    """All partitions of the graph folder `folder`, one after another."""

    def __init__(self, folder: Path, partitions: Sequence[PartitionSchema]) -> None:
        self.folder, self.partitions = folder, partitions
        self._opened = OpenFiles()

    def nodes(self, node_type: str) -> Rows:
        """One row per node."""
        return Rows([self.open_file(part, part.node_files[node_type]) for part in self.partitions])

    def edges(self, edge_type: EdgeType) -> Rows:
        """One row per edge, sorted by target."""
        return Rows([self.open_file(part, part.edge_files[edge_name(edge_type)]) for part in self.partitions])

    def indptr(self, edge_type: EdgeType) -> np.ndarray:
        """int64 (targets + 1): where each target's edges start in `edges`."""
        files = [(part, indptr_file(part.edge_files[edge_name(edge_type)])) for part in self.partitions]
        pointers_of_parts: list[np.ndarray] = [self.open_file(part, file).column(0).to_numpy() for part, file in files]
        if len(pointers_of_parts) == 1:
            return pointers_of_parts[0]
        before = np.cumsum([0, *(pointers[-1] for pointers in pointers_of_parts)])
        joined: np.ndarray = np.concatenate(
            [[0], *(p[1:] + start for p, start in zip(pointers_of_parts, before, strict=False))]
        )
        return joined

    def open_file(self, part: PartitionSchema, file: str) -> pa.RecordBatch:
        """A file of one of the partitions."""
        return self._opened.open(self.folder / part.folder / file)

    def forget(self) -> None:
        """See OpenFiles."""
        self._opened.forget()


def edges_at_once(first: np.ndarray, degree: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(which target, row) int64 (k) of the edges of targets (n) with so many edges from these rows on, at most `most`
    at a time; at least once."""
    ends = np.cumsum(degree)
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        yield np.empty(0, np.int64), np.empty(0, np.int64)
    for start in range(0, total, most):
        stop = min(start + most, total)
        low, last = np.searchsorted(ends, [start, stop - 1], side="right").tolist()
        some = slice(low, last + 1)
        begins = ends[some] - degree[some]
        edges = np.minimum(ends[some], stop) - np.maximum(begins, start)
        row = np.arange(start, stop) + np.repeat(first[some] - begins, edges)
        yield np.repeat(np.arange(low, last + 1), edges), row


def _plain(column: pa.Array) -> np.ndarray | pa.Array:
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        return column.flatten().to_numpy().reshape(-1, kind.list_size)
    if column.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column.to_numpy()
    return column


def _to_arrow(values: np.ndarray | pa.Array) -> pa.Array:
    return pa.array(values) if isinstance(values, np.ndarray) else values


def _of(values: np.ndarray | pa.Array, rows: np.ndarray) -> np.ndarray | pa.Array:
    return values[rows] if isinstance(values, np.ndarray) else values.take(pa.array(rows))
