"""What a reader of a format must do: tell the columns and pieces of a file, and give a piece's rows in small batches.

A format is a name with endings (graphstorm_like.config.formats) and a reader that is registered under that name.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa

from gconstruct.inputs import InputFile
from graphstorm_like.config.rows import CsvOptions
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.registry import import_modules

READ_ERRORS = (pa.ArrowException, OSError, EOFError, zlib.error, ValueError)
"""What reading a damaged file raises."""
PIECE_BYTES = 64 << 20
"""About the size of a piece, decompressed."""
BATCH_BYTES = 16 << 20
"""About the size of a batch."""


class UnreadableError(Exception):
    """A file cannot be read; the text is the whole message."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a file that can be read without the others."""

    first_row: int = 0
    """Rows of the file before it"""
    rows: int | None = None
    """None: not known before it is read"""
    units: tuple[int, int] = (0, 1)
    """From, to: row groups, record batches or stripes of the file, whatever its format has"""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file tells without its rows being read."""

    columns: tuple[tuple[str, pa.DataType | None], ...]
    """Names with types; None: text that may stand for anything. Names may be repeated."""
    pieces: tuple[Piece, ...]
    """In the order of their rows"""
    guessed: bool = False
    """Types are those of the first rows: whole numbers may have fractions further down."""


class Reader(ABC):
    """Reads one format. All methods may raise READ_ERRORS, or UnreadableError with a message of their own."""

    checks_text = False
    """Whether strings that it gives are known to be UTF-8."""

    @abstractmethod
    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """Columns and pieces. needed: the columns that will be read."""

    @abstractmethod
    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch | pa.Table]:
        """All rows of a piece in order, of these columns in this order, with bounded memory. The types are those that
        the columns will be cast to; a format with types of its own need not heed them."""

    def read(
        self, file: InputFile, pieces: Sequence[Piece], columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> pa.Table:
        """All rows of a file at once; a format that can do this faster overrides it."""
        tables = [
            batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
            for piece in pieces
            for batch in self.batches(file, piece, columns, options)
        ]
        if not tables:
            return pa.table({name: pa.array([], data_type) for name, data_type in columns.items()})
        return pa.concat_tables(tables, promote_options="permissive")

    @abstractmethod
    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """The message about a file that gave this error, as far as its bytes show the reason."""


_readers: dict[str, Reader] = {}
_discovered: list[str] = []


def register(name: str) -> Callable[[type[Reader]], type[Reader]]:
    """Decorator: the class reads files of the format of this name."""

    def add(reader_class: type[Reader]) -> type[Reader]:
        registered = _readers.get(name)
        assert registered is None or type(registered).__qualname__ == reader_class.__qualname__, (
            f"two readers of {name}"
        )
        _readers[name] = reader_class()
        return reader_class

    return add


def reader_of(file: InputFile) -> Reader:
    """The reader of a file's format. Raises DataError when there is none."""
    if not _discovered:
        import_modules("gconstruct.readers")
        _discovered.append("gconstruct.readers")
    if file.format not in _readers:
        raise DataError(unknown(file.path, "format", file.format, _readers))
    return _readers[file.format]


@contextmanager
def seekable(file: InputFile) -> Iterator[IO[bytes] | pa.NativeFile]:
    """The file for reading at any place."""
    stream: Any = pa.OSFile(file.path) if file.is_local else file.open()
    with stream:
        yield stream


def gather(sizes: Iterable[tuple[int, int]]) -> tuple[Piece, ...]:
    """Pieces of about PIECE_BYTES of units that have (rows, bytes) each; one piece at least."""
    pieces: list[Piece] = []
    start = first_row = rows = size = unit = 0
    for unit, (unit_rows, unit_bytes) in enumerate(sizes, 1):
        if rows and size + unit_bytes > PIECE_BYTES:
            pieces.append(Piece(first_row, rows, (start, unit - 1)))
            start, first_row, rows, size = unit - 1, first_row + rows, 0, 0
        rows, size = rows + unit_rows, size + unit_bytes
    return (*pieces, Piece(first_row, rows, (start, unit)))


def rows_of_batches(rows: int, size: int) -> int:
    """Rows of a batch of about BATCH_BYTES, of a table with these rows and bytes."""
    return max(1, min(1 << 16, BATCH_BYTES * max(rows, 1) // max(size, 1)))


def not_open(file: InputFile, error: BaseException) -> str | None:
    """The message about a file that cannot be opened at all; None for other errors."""
    if isinstance(error, PermissionError | FileNotFoundError):
        return f"{file.path}: must be readable (got: {error.strerror}). Check that it is there, and its permissions"
    return None


def reason_of(error: BaseException) -> str:
    """The first sentence of an error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]


def ends_of(file: InputFile, tail: int) -> tuple[bytes, bytes]:
    """Up to 20 bytes of the file's first line, and its last bytes."""
    with seekable(file) as stream:
        head = stream.read(20).split(b"\n")[0]
        stream.seek(-min(tail, file.size), 2)
        return head, stream.read()
