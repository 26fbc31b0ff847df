"""Bytes and bits that grow in memory, then in a file, and are read as one Arrow buffer in the end."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa


class GrowingBuffer:
    """Bytes that are appended, and read once all are there."""

    def __init__(self) -> None:
        self.size = 0
        self.path: Path | None = None
        """Its file, once it has moved to one"""
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._whole: pa.Buffer | None = None

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes at the end; they are copied."""
        assert self._whole is None
        if self._file is not None:
            self.size += self._file.write(data)
        elif len(data):
            self._pieces.append(bytes(data))
            self.size += len(self._pieces[-1])

    def move_to(self, path: Path) -> None:
        """Keep what there is, and what follows, in a file."""
        assert self._file is None
        self.path, self._file = path, open(path, "wb")  # noqa: SIM115
        for piece in self._pieces:
            self._file.write(piece)
        self._pieces = []

    def finish(self) -> pa.Buffer:
        """All bytes: mapped from the file, or joined."""
        if self._whole is None:
            self._whole = self._mapped() if self._file is not None else pa.py_buffer(b"".join(self._pieces))
            self._pieces = []
        return self._whole

    def _mapped(self) -> pa.Buffer:
        assert self._file is not None
        assert self.path is not None
        self._file.close()
        if not self.size:
            return pa.py_buffer(b"")
        with open(self.path, "rb") as file:
            return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class GrowingBits(GrowingBuffer):
    """Booleans (n) as bits, least significant first, as Arrow has them."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = np.empty(0, bool)

    def append(self, data: np.ndarray) -> None:  # type: ignore[override]
        """Add booleans at the end."""
        bits = np.concatenate([self._rest, data])
        whole = len(bits) // 8 * 8
        super().append(np.packbits(bits[:whole], bitorder="little").tobytes())
        self._rest = bits[whole:]

    def finish(self) -> pa.Buffer:
        """All bits; the last byte is filled up with zeros."""
        if self._rest.size:
            super().append(np.packbits(self._rest, bitorder="little").tobytes())
            self._rest = np.empty(0, bool)
        return super().finish()
