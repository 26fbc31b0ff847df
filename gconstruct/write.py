"""Columns -> Arrow IPC files of one record batch, which a memory map reads without a copy.

numpy (n,) -> a primitive column, numpy (n, width) -> fixed-size list; Arrow arrays stay as they are.
Buffers start at multiples of 8 bytes, as pyarrow lays them out.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from graphstorm_like.errors import DataError

_MARGIN = 1 << 20  # bytes for Arrow's own headers, and for graph.json


def file_names(names: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """A file name for each type: ('package', 'depends', 'package') -> 'package--depends--package.arrow'.

    Bytes other than letters, digits and '_' are written %2D, so that '--' and '.indptr' are only added here; names
    that differ only in case get a number, for file systems that ignore case.
    """
    out: dict[tuple[str, ...], str] = {}
    used_files: set[str] = set()
    for name in names:
        stem = "--".join(re.sub(r"[^A-Za-z0-9_]", lambda m: _percent(m.group()), part) for part in name)
        file, number = stem, 1
        while file.lower() in used_files:
            number += 1
            file = f"{stem}~{number}"
        used_files.add(file.lower())
        out[name] = f"{file}.arrow"
    return out


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def write_columns(path: Path, columns: Mapping[str, np.ndarray | pa.Array]) -> int:
    """Write one file and sync it to disk; returns its size in bytes."""
    batch = pa.record_batch([to_arrow(values) for values in columns.values()], names=list(columns))
    check_space(path, batch.nbytes)
    with open(path, "wb") as file:
        with pa.ipc.new_file(file, batch.schema, options=file_options(batch.num_rows)) as writer:
            writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def file_options(rows: int) -> pa.ipc.IpcWriteOptions:
    """How a file of one record batch with so many rows is written."""
    return pa.ipc.IpcWriteOptions(allow_64bit=rows >= 2**31)


def to_arrow(values: np.ndarray | pa.Array) -> pa.Array:
    """numpy (n,) or (n, width) as a primitive array or fixed-size lists."""
    if isinstance(values, pa.Array):
        return values
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def check_space(path: Path, needed: int) -> None:
    """Raise a DataError when the disk of a new file has fewer than `needed` bytes left."""
    free = shutil.disk_usage(path.parent).free
    if needed + _MARGIN > free:
        raise DataError(
            f"{path}: the disk must have {needed / 1e9:.2f} GB free for this file (got {free / 1e9:.2f} GB). "
            "Free some space, or set graph.path to another disk"
        )
