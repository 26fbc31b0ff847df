"""Files of vectors, one per id: NumPy with a file of ids, or Parquet.

A .npy file is mapped into memory; of a Parquet file only the row groups are read that hold a wanted vector. Memory
holds all ids of a file with an index, and the vectors of one request.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gconstruct.kinds import kind_of
from gconstruct.spill.id_index import IdLookup
from graphstorm_like.errors import DataError, unknown

_OPEN_FILES = 4
"""Whose ids stay in memory between the pieces of tables."""


class Vectors(Protocol):
    """The vectors of one file."""

    count: int
    width: int

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of these rows (m, from 0, any order), float32 (m, width)."""
        ...


class VectorFile:
    """A file of n vectors with an id each."""

    def __init__(self, path: Path, vectors: Vectors, ids: pa.Array | None) -> None:
        """ids: None: the vectors go by the rows of a table."""
        self.path, self.vectors, self.ids = path, vectors, ids
        self._lookups: dict[bool, IdLookup] = {}
        self._lock = Lock()

    def find(self, ids: pa.Array) -> np.ndarray:
        """int64 (m): the row of each id, -1 where there is none, as for null. Integers match their written form."""
        assert self.ids is not None
        by_text = not (pa.types.is_integer(ids.type) and pa.types.is_integer(self.ids.type))
        return self._lookup(by_text).find(pc.cast(ids, pa.large_string()) if by_text else ids)

    def _lookup(self, by_text: bool) -> IdLookup:
        """Made once, for the batches of all tables and threads."""
        assert self.ids is not None
        with self._lock:
            if by_text not in self._lookups:
                self._lookups[by_text] = IdLookup(pc.cast(self.ids, pa.large_string()) if by_text else self.ids)
            return self._lookups[by_text]


def open_vectors(path: Path, ids: Path | None, id_column: str, vector_column: str, key: str) -> VectorFile:
    """Open a file, or take it from the few that are open. key: names the feature in messages.

    Raises DataError when it cannot be read, or has null or repeated ids.
    """
    try:
        stamps = tuple(os.stat(file).st_mtime_ns for file in (path, ids) if file is not None)
        return _opened(path, ids, id_column, vector_column, stamps)
    except OSError as err:
        raise DataError(
            f"{key}: {err.filename or path} must be a file that can be read ({err.strerror or err})"
        ) from None
    except (pa.ArrowException, ValueError) as err:
        raise DataError(f"{key}: {path} must be a .npy or Parquet file that can be read ({err})") from None


@lru_cache(_OPEN_FILES)
def _opened(path: Path, ids: Path | None, id_column: str, vector_column: str, stamps: tuple[int, ...]) -> VectorFile:
    """stamps: when the files were changed, so that a changed file is opened again."""
    if path.suffix == ".npy":
        mapped = _NumpyVectors(path)
        if ids is None:
            return VectorFile(path, mapped, None)
        names = _read_ids(ids)
        if len(names) != mapped.count:
            rule = f"must have an id for each of the {mapped.count:,} vectors of {path}"
            raise DataError(f"{ids}: {rule} (got {len(names):,})")
        return VectorFile(path, mapped, _checked(names, ids))
    parquet = _ParquetVectors(path, id_column, vector_column)
    return VectorFile(path, parquet, _checked(parquet.ids(), path))


def _checked(names: pa.Array, where: Path) -> pa.Array:
    if names.null_count:
        raise DataError(f"{where}: ids of vectors must be non-null (got {names.null_count:,} nulls). Leave them out")
    repeated = len(names) - len(pc.unique(names))
    if repeated:
        raise DataError(f"{where}: ids of vectors must be unique (got {repeated:,} repeated ones). Keep one of each")
    return names


def _read_ids(path: Path) -> pa.Array:
    """int64 or large_string."""
    if path.suffix == ".npy":
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
        if ids.ndim != 1 or ids.dtype.kind not in "iuU":
            raise DataError(f"{path}: must hold one integer or string per vector (got {ids.dtype} {ids.shape})")
        return pa.array(ids.astype(np.int64)) if ids.dtype.kind in "iu" else pa.array(ids.tolist(), pa.large_string())
    with path.open(encoding="utf-8") as file:
        return pa.array([line.rstrip("\r\n") for line in file], pa.large_string())


class _NumpyVectors:
    """See Vectors."""

    def __init__(self, path: Path) -> None:
        self._vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        if self._vectors.ndim != 2 or self._vectors.dtype.kind not in "fiu":
            found = f"{self._vectors.dtype} {self._vectors.shape}"
            raise DataError(f"{path}: must hold numbers of the shape (vectors, width) (got {found})")
        self.count, self.width = self._vectors.shape

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See Vectors."""
        order = np.argsort(rows, kind="stable")  # pages of the file are read once, one after another
        out = np.empty((len(rows), self.width), np.float32)
        with np.errstate(over="ignore"):  # what becomes infinite is reported
            out[order] = self._vectors[rows[order]]
        return out


class _ParquetVectors:
    """See Vectors."""

    def __init__(self, path: Path, id_column: str, vector_column: str) -> None:
        self._path, self._id_column, self._vector_column = path, id_column, vector_column
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        for column in (id_column, vector_column):
            if column not in names:
                raise DataError(unknown(str(path), "column", column, names))
        kind = file.schema_arrow.field(vector_column).type
        if kind_of(kind) not in ("list of float", "list of integer"):
            raise DataError(f"{path}: column {vector_column!r} must hold lists of numbers (got {kind})")
        groups = range(file.num_row_groups)
        self._starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in groups)])
        self.count = int(self._starts[-1])
        first = next((group for group in groups if file.metadata.row_group(group).num_rows), None)
        self.width = 0 if first is None else self._width_of(file, first)

    def _width_of(self, file: pq.ParquetFile, group: int) -> int:
        batch = next(file.iter_batches(1, [group], [self._vector_column]))
        return pc.list_value_length(batch.column(0))[0].as_py() or 0

    def ids(self) -> pa.Array:
        """int64 or large_string."""
        column = pq.ParquetFile(self._path).read([self._id_column]).column(0).combine_chunks()
        kind = kind_of(column.type)
        if kind not in ("string", "integer"):
            raise DataError(
                f"{self._path}: column {self._id_column!r} must hold string or integer ids (got {column.type})"
            )
        return pc.cast(column, pa.int64() if kind == "integer" else pa.large_string())

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See Vectors. Raises DataError when a vector has another width, or lacks numbers."""
        out = np.empty((len(rows), self.width), np.float32)
        order = np.argsort(rows, kind="stable")
        ends = np.searchsorted(rows[order], self._starts)
        file = pq.ParquetFile(self._path)
        for group, (first, last) in enumerate(_between(ends)):
            if first == last:
                continue
            column = file.read_row_group(group, [self._vector_column]).column(0).combine_chunks()
            wanted = order[first:last]
            out[wanted] = self._numbers(column.take(pa.array(rows[wanted] - self._starts[group])))
        return out

    def _numbers(self, column: pa.Array) -> np.ndarray:
        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
        wrong = lengths[lengths != self.width]
        if wrong.size:
            found = "null" if wrong[0] < 0 else f"a list of {wrong[0]}"
            raise DataError(
                f"{self._path}: column {self._vector_column!r} must hold a list of {self.width} numbers in each row, "
                f"as in the first (got {found})"
            )
        numbers: np.ndarray = pc.cast(column.flatten(), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            return numbers.reshape(-1, self.width).astype(np.float32)


def _between(ends: np.ndarray) -> Iterator[tuple[int, int]]:
    return zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
