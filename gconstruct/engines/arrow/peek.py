"""Headers of CSV files and footers of Parquet files: column names and types, without reading rows.

A column of a CSV file has no type (None): its values are strings until it is known how they are used.
"""

from __future__ import annotations

import csv
import io
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gconstruct.inputs import InputFile
from gconstruct.problems import Problems
from graphstorm_like.config.graph import CsvOptions

_HEADER_BYTES = 1 << 20
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
READ_ERRORS = (pa.ArrowException, OSError, EOFError, zlib.error)


def peek(
    file: InputFile, options: CsvOptions, problems: Problems, key: str = ""
) -> dict[str, pa.DataType | None] | None:
    """Types by column name, or None when the file cannot be read (then `problems` says why). key: where the YAML names
    the file."""
    if file.size == 0:
        fix = "Write it again, or leave it out"
        problems.add(f"{file.path}: must hold a table (got an empty file, 0 bytes). {fix}", key)
        return None
    try:
        columns = _peek_parquet(file) if file.format == "parquet" else _peek_csv(file, options)
    except READ_ERRORS as err:
        problems.add(unreadable(file, err), key)
        return None
    names = [name for name, _ in columns]
    repeated = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        problems.add(f"{file.path}: column names must be unique (got {repeated[0]!r} more than once). Rename them", key)
        return None
    return dict(columns)


def unreadable(file: InputFile, err: BaseException) -> str:
    """Why a file cannot be read in its format, as far as its first and last bytes show."""
    if isinstance(err, PermissionError | FileNotFoundError):
        return f"{file.path}: must be readable (got: {err.strerror}). Check that it is there, and its permissions"
    reason = (str(err).strip() or type(err).__name__).splitlines()[0].split(". ")[0]
    with file.open() as stream:
        head = stream.read(20).split(b"\n")[0]
        stream.seek(-min(len(_PARQUET), file.size), 2)
        tail = stream.read()
    if file.format == "csv":
        if is_gzip(file) and not head.startswith(_GZIP):
            return f"{file.path}: must be a gzip file (got one that starts with {head!r}). Compress it, or rename it"
        return (
            f"{file.path}: must be readable as CSV (got: {reason}). Check that it is whole, and csv.delimiter and quote"
        )
    if not head.startswith(_PARQUET):
        fix = "If it is CSV, rename it or set format: csv"
        return f"{file.path}: must be a Parquet file (got one that starts with {head!r}). {fix}"
    finding = f"got: {reason}" if tail == _PARQUET else "got one without a footer"
    return f"{file.path}: must be a whole Parquet file ({finding}). It was cut off or damaged: write it again"


def _peek_parquet(file: InputFile) -> list[tuple[str, pa.DataType | None]]:
    with open_parquet(file) as parquet:
        return [(f.name, f.type) for f in parquet.schema_arrow]


def open_parquet(file: InputFile) -> pq.ParquetFile:
    """The file with its footer read."""
    return pq.ParquetFile(file.path if file.is_local else file.open())


def is_gzip(file: InputFile) -> bool:
    """Whether it is compressed, by its name."""
    return file.path.lower().endswith(".gz")


def open_csv(file: InputFile) -> Any:
    """The file's bytes, decompressed."""
    compression = "gzip" if is_gzip(file) else None
    return pa.input_stream(file.path if file.is_local else file.open(), compression=compression)


def delimiter(file: InputFile, options: CsvOptions) -> str:
    """A tab for .tsv, unless the YAML names another one."""
    is_tsv = file.path.lower().removesuffix(".gz").endswith(".tsv")
    return "\t" if is_tsv and "delimiter" not in options.model_fields_set else options.delimiter


def _peek_csv(file: InputFile, options: CsvOptions) -> list[tuple[str, pa.DataType | None]]:
    return [(name, None) for name in csv_header(file, options)]


def csv_header(file: InputFile, options: CsvOptions) -> list[str]:
    """Column names, from the YAML or the file's first line."""
    if options.header is not None:
        return options.header
    with open_csv(file) as stream:
        head = io.StringIO(stream.read(_HEADER_BYTES).decode("utf-8-sig", errors="replace"), newline="")
    lines = csv.reader(head, delimiter=delimiter(file, options), quotechar=options.quote)
    return next((line for line in lines if line), [])
