"""Bytes and bits that grow in memory, then in a file, and are one Arrow buffer in the end."""

from __future__ import annotations

import mmap
import os
import shutil
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

_COPY_BYTES = 4 << 20


class GrowingBuffer:
    """Bytes that are appended, and written once all are there. is_read: pyarrow looks at them when it lays out a
    file."""

    def __init__(self, is_read: bool = False) -> None:
        self.size = 0
        self._is_read = is_read
        self._pieces: list[pa.Buffer] = []
        self._path: Path | None = None
        """Its file, once it has moved to one"""
        self._file: IO[bytes] | None = None
        self._whole: pa.Buffer | None = None

    def append(self, data: pa.Buffer) -> None:
        """Add bytes at the end, which must not change any more: they are not copied, unless they would keep much more
        in memory."""
        assert self._whole is None
        if self._file is not None:
            self.size += self._file.write(data)
        elif data.size:
            self._pieces.append(data if 2 * data.size >= _owner(data).size else pa.py_buffer(data.to_pybytes()))
            self.size += data.size

    def move_to(self, path: Path) -> None:
        """Keep what there is, and what follows, in a file."""
        assert self._file is None
        self._path, self._file = path, open(path, "wb")  # noqa: SIM115
        for piece in self._pieces:
            self._file.write(piece)
        self._pieces = []

    def finish(self) -> pa.Buffer:
        """A buffer of the same size, which stands for the bytes in what pyarrow lays out. It holds them only if they
        are in a file, or pyarrow reads them."""
        if self._whole is None:
            if self._file is not None:
                self._whole = self._mapped()
            elif self._is_read or len(self._pieces) < 2:
                self._whole = pa.py_buffer(b"".join(self._pieces)) if len(self._pieces) != 1 else self._pieces[0]
            else:
                self._whole = pa.py_buffer(np.empty(self.size, np.uint8))  # no page of it is ever touched
        return self._whole

    def write_to(self, file: IO[bytes]) -> None:
        """All bytes, once it is finished."""
        if self._path is not None:
            copy_into(self._path, file)
        for piece in self._pieces:
            file.write(piece)

    def _mapped(self) -> pa.Buffer:
        assert self._file is not None
        assert self._path is not None
        self._file.close()
        if not self.size:
            return pa.py_buffer(b"")
        with open(self._path, "rb") as file:
            return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def copy_into(path: Path, file: IO[bytes]) -> None:
    """Append the contents of a file to another one that is being written: by the kernel, where it can."""
    with open(path, "rb") as source:
        left = os.fstat(source.fileno()).st_size
        file.flush()
        try:
            while left > 0 and (copied := os.copy_file_range(source.fileno(), file.fileno(), left)):
                left -= copied
        except (AttributeError, OSError):  # another system; two disks, or one that cannot do it
            pass
        file.seek(0, os.SEEK_END)
        shutil.copyfileobj(source, file, _COPY_BYTES)


def _owner(data: pa.Buffer) -> pa.Buffer:
    """What stays in memory as long as the buffer is used."""
    while data.parent is not None:
        data = data.parent
    return data


class GrowingBits(GrowingBuffer):
    """Booleans (n) as bits, least significant first, as Arrow has them."""

    def __init__(self) -> None:
        super().__init__(is_read=True)
        self._rest = np.empty(0, bool)

    def append(self, data: np.ndarray) -> None:
        """Add booleans at the end."""
        bits = np.concatenate([self._rest, data])
        whole = len(bits) // 8 * 8
        super().append(pa.py_buffer(np.packbits(bits[:whole], bitorder="little")))
        self._rest = bits[whole:]

    def finish(self) -> pa.Buffer:
        """All bits; the last byte is filled up with zeros."""
        if self._rest.size:
            super().append(pa.py_buffer(np.packbits(self._rest, bitorder="little")))
            self._rest = np.empty(0, bool)
        return super().finish()
