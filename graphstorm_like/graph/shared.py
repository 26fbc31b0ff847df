"""Tables of rows in a host's shared-memory folder: every process of the host maps them, and its servers serve them.

A job uses each name once: a process that has opened a table keeps it until it is dropped. A table is a file of numbers
and a small JSON file that describes it, written last. Text vectors and tokens in the cache on disk are tables too:
their JSON file names the cache's files and the row of each node.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.arrays import map_array
from graphstorm_like.errors import DataError
from graphstorm_like.files import exclusive, reserve, write_json
from graphstorm_like.graph.store import IntArray
from graphstorm_like.ranges import ranges

MAKING_SECONDS = 3600.0
"""The longest wait for a process that makes a table for all; a dead one's lock is released by the kernel."""
_REMEDY = "Free shared memory (a container gets more with --shm-size), or set GSL_SHM_ROOT to a folder with room"


@dataclass(frozen=True, slots=True)
class SharedTable:
    """rows [n, width] of `dtype` in `file`; with `index`, a file of `index_dtype` numbers, row i is rows[index[i]].
    The dtype of .npy files is read from the files.

    offsets: a file of int64, which makes this a table of items of many numbers each: item k is rows[offsets[k]:
    offsets[k + 1]], and row i is item index[i].
    """

    name: str
    file: str
    dtype: str
    shape: tuple[int, int]
    index: str = ""
    index_dtype: str = ""
    offsets: str = ""

    def open(self, mode: str = "r") -> SharedRows:
        """Map it."""
        rows = _map(self.file, self.dtype, mode).reshape(self.shape)
        return SharedRows(
            rows,
            _map(self.index, self.index_dtype, "r") if self.index else None,
            _map(self.offsets, "<i8", "r") if self.offsets else None,
        )


@dataclass(frozen=True, slots=True)
class Ragged:
    """The items, of many numbers each, of some rows [n]: row i has item item_of_row[i] of the m distinct ones."""

    item_of_row: IntArray
    """[n]"""
    items: IntArray
    """[m], ascending: their numbers in the table."""
    starts: IntArray
    """[m]: where they begin in the table."""
    sizes: IntArray
    """[m]"""
    values: npt.NDArray[Any]
    """[sum of sizes]; empty when only sizes were asked for."""


@dataclass(frozen=True, slots=True)
class SharedRows:
    """A memory-mapped table."""

    values: npt.NDArray[Any]
    index: npt.NDArray[Any] | None
    offsets: npt.NDArray[np.int64] | None = None

    def __getitem__(self, rows: IntArray) -> npt.NDArray[Any]:
        chosen: npt.NDArray[Any] = self.values[rows if self.index is None else self.index[rows]]
        return chosen

    def ragged(self, rows: IntArray, values: bool) -> Ragged:
        """Items of some rows; values: with the numbers in them."""
        assert self.index is not None
        assert self.offsets is not None
        items, item_of_row = np.unique(self.index[rows].astype(np.int64), return_inverse=True)
        starts = np.asarray(self.offsets[items])
        sizes = self.offsets[items + 1] - starts
        where = ranges(starts, sizes)[0] if values else items[:0]
        return Ragged(item_of_row, items, starts, sizes, self.values[where].reshape(-1))


def _map(file: str, dtype: str, mode: Any) -> npt.NDArray[Any]:
    if file.endswith(".npy"):  # its header names the dtype
        return map_array(Path(file), mode=mode)
    if Path(file).stat().st_size == 0:
        return np.zeros(0, dtype=dtype)
    return np.memmap(file, dtype=dtype, mode=mode)


def _stem(folder: Path, name: str) -> Path:
    return folder / f"table-{blake2b(name.encode(), digest_size=12).hexdigest()}"


def create_rows(
    folder: Path, name: str, shape: tuple[int, int], dtype: str, index: tuple[str, str] = ("", "")
) -> npt.NDArray[Any]:
    """A new table of zeros, mapped for writing; index: (file, dtype), see SharedTable. Its pages are allocated at once:
    a full folder gives a DataError now, instead of a bus error at a later write."""
    file = _stem(folder, name).with_suffix(".rows")
    table = SharedTable(name, str(file), dtype, shape, *index)
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    try:
        reserve(file, size)
        publish(folder, table)
    except DataError as err:
        file.unlink(missing_ok=True)
        raise DataError(
            f"{folder}: must have room for {size / 1e9:,.2f} GB of table '{name}' ({err.__cause__}). {_REMEDY}"
        ) from err
    return table.open("r+").values


def made_once(folder: Path, name: str, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """What `make` gives, [n] or [n, width]: the first process of the host that asks calls it, all of them map one
    copy, read-only. Where there is no room for that, each process has a copy of its own."""
    names = {dimensions: f"{name}:{dimensions}d" for dimensions in (1, 2)}
    with ExitStack() as held:
        if not any(is_there(folder, each) for each in names.values()):
            lock = _stem(folder, name).with_suffix(".lock")
            try:
                held.enter_context(exclusive(lock, f"making table '{name}'", MAKING_SECONDS, _nobody))
            except OSError:
                return make()
        if not any(is_there(folder, each) for each in names.values()):
            array = make()
            try:
                _write(folder, names[array.ndim], array)
            except DataError:
                return array
    for dimensions, each in names.items():
        if is_there(folder, each):
            rows = np.asarray(find(folder, each).open().values)
            return rows[:, 0] if dimensions == 1 else rows
    raise AssertionError("it has just been made")


def _write(folder: Path, name: str, array: npt.NDArray[Any]) -> None:
    """A table of its own, which others find only when it is whole."""
    file = _stem(folder, name).with_suffix(".rows")
    rows = array if array.ndim == 2 else array[:, None]
    table = SharedTable(name, str(file), rows.dtype.str, (rows.shape[0], rows.shape[1]))
    try:
        reserve(file, rows.nbytes)
        if rows.nbytes:
            table.open("r+").values[:] = rows
        publish(folder, table)
    except DataError:
        file.unlink(missing_ok=True)
        raise


def _nobody(_line: str) -> None:
    """Others make it in a moment: nothing to report."""


def publish(folder: Path, table: SharedTable) -> None:
    """Write the JSON file that describes a table."""
    try:
        write_json(_stem(folder, table.name).with_suffix(".json"), asdict(table))
    except OSError as err:
        raise DataError(f"{folder}: must have room for table '{table.name}' ({err}). {_REMEDY}") from err


def find(folder: Path, name: str) -> SharedTable:
    """The table with a name; DataError when there is none."""
    try:
        description = json.loads(_stem(folder, name).with_suffix(".json").read_text(encoding="utf-8"))
    except OSError as err:
        raise DataError(
            f"{folder}: must hold a table '{name}' ({err.strerror}). Did a trainer of this host fail?"
        ) from None
    return SharedTable(**{**description, "shape": tuple(description["shape"])})


def is_there(folder: Path, name: str) -> bool:
    """Whether a table has been published and not been dropped."""
    return _stem(folder, name).with_suffix(".json").exists()


def drop(folder: Path, name: str) -> None:
    """Remove a table; processes that have mapped it keep their map until they close it."""
    for suffix in (".json", ".rows"):
        _stem(folder, name).with_suffix(suffix).unlink(missing_ok=True)
