"""Arrays in self-describing .npy files: written piece by piece or in place, read by memory map.

The header is that of NumPy's format 1.0, always 128 bytes long, so that the length can be filled in at the end.
Anything that reads .npy reads these files.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from graphstorm_like.errors import DataError
from graphstorm_like.files import fsync_path, reserve

_MAGIC = b"\x93NUMPY\x01\x00"
HEADER_BYTES = 128


def map_array(path: Path, shape: tuple[int, ...] | None = None, mode: Literal["r", "r+"] = "r") -> npt.NDArray[Any]:
    """The array of a .npy file as a memory map, without copying.

    Raises DataError when the file is missing, is no .npy file, was cut short or has bytes too many, or when its array
    does not have the given shape.
    """
    remedy = f"Delete the folder {path.parent} and run again; it will be rebuilt."
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing. {remedy}") from None
    except (OSError, ValueError, EOFError) as problem:
        raise DataError(f"{path}: must be a whole .npy file (got: {problem}). {remedy}") from problem
    expected = int(getattr(array, "offset", 0)) + array.nbytes
    size = path.stat().st_size
    if size != expected:
        raise DataError(f"{path}: must have {expected:,} bytes by its header (got {size:,}). {remedy}")
    if shape is not None and array.shape != shape:
        raise DataError(f"{path}: must hold an array of shape {shape} (got {array.shape}). {remedy}")
    return array


def create_array(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Make a file of zeros, to be opened with mode 'r+'. Its disk space is reserved: see `files.reserve`."""
    kind = np.dtype(dtype)
    count = 1
    for size in shape:
        count *= size
    reserve(path, HEADER_BYTES + count * kind.itemsize)
    with open(path, "r+b") as file:
        file.write(_header(shape, kind))
    fsync_path(path)


class ArrayWriter:
    """Writes a one-dimensional array part by part; a context manager, after which the file is complete and on disk."""

    def __init__(self, path: Path, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.length = 0
        self._file = open(path, "wb")  # noqa: SIM115 - closed by __exit__
        self._file.write(_header((0,), self.dtype))

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add numbers [n], cast to the array's dtype."""
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file as file:
            file.seek(0)
            file.write(_header((self.length,), self.dtype))
            file.flush()
            os.fsync(file.fileno())


def save_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write a one-dimensional array and sync it to disk."""
    with ArrayWriter(path, values.dtype) as writer:
        writer.append(values)


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    text = repr({"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
    body = text.encode("ascii").ljust(HEADER_BYTES - len(_MAGIC) - 3) + b"\n"
    assert len(_MAGIC) + 2 + len(body) == HEADER_BYTES
    return _MAGIC + len(body).to_bytes(2, "little") + body
