"""CSV and TSV. Values are read as strings, so that one that is not a number can be reported with its row; nothing is
guessed from the first rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from gconstruct.inputs import InputFile
from gconstruct.problems import EXAMPLES
from gconstruct.readers.base import Header, Piece, Reader, UnreadableError, not_open, reason_of, register
from gconstruct.readers.compression import not_compressed, open_text, plain_name
from graphstorm_like.config.rows import CsvOptions

_HEADER_BYTES = 1 << 20
_BLOCKS = (16 << 20, 128 << 20, 1 << 30)
"""Bytes that are parsed at once; a row must fit into a block, so larger ones are tried for long texts."""


@register("csv")
class CsvReader(Reader):
    """Reads a file from its start, block by block."""

    checks_text = True

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From the YAML or the first line. A file is one piece: line breaks within quotes do not show where to cut."""
        return Header(tuple((name, None) for name in _names(file, options)), (Piece(),))

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch | pa.Table]:
        """A block at a time."""
        done = 0
        for block in _BLOCKS:
            row = 0
            try:
                how = _options(file, columns, options, block)  # reads the header: before, for streams in memory are one
                with open_text(file) as stream, pacsv.open_csv(stream, **how) as csv_:
                    for batch in csv_:
                        given = max(0, min(done - row, batch.num_rows))  # before a larger block started again
                        row += batch.num_rows
                        if row > done:
                            done = row
                            yield batch.select(list(columns)).slice(given)
                return
            except pa.ArrowInvalid as err:
                if _is_header_alone(file, err):
                    return
                if not _needs_larger_block(err, block):
                    raise _explained(file, err, options) from err

    def read(
        self, file: InputFile, pieces: Sequence[Piece], columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> pa.Table:
        """With all threads."""
        for block in _BLOCKS:
            try:
                how = _options(file, columns, options, block)
                with open_text(file) as stream:
                    return pacsv.read_csv(stream, **how).select(list(columns))
            except pa.ArrowInvalid as err:
                if _is_header_alone(file, err):
                    break
                if not _needs_larger_block(err, block):
                    raise _explained(file, err, options) from err
        return pa.table({name: pa.array([], pa.large_string()) for name in columns})

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """Whether it is compressed as its name says."""
        told = not_open(file, error) or not_compressed(file)
        fix = "Check that it is whole, and csv.delimiter and quote"
        return told or f"{file.path}: must be readable as CSV (got: {reason_of(error)}). {fix}"


def _options(file: InputFile, columns: Collection[str], options: CsvOptions, block: int) -> dict[str, Any]:
    return {
        "read_options": pacsv.ReadOptions(column_names=options.header, block_size=block),
        "parse_options": pacsv.ParseOptions(
            delimiter=_delimiter(file, options), quote_char=options.quote, newlines_in_values=True
        ),
        "convert_options": pacsv.ConvertOptions(
            include_columns=list(columns),
            column_types=dict.fromkeys(_names(file, options), pa.large_string()),
            strings_can_be_null=True,
            null_values=options.null_values,
        ),
    }


def _names(file: InputFile, options: CsvOptions) -> list[str]:
    """Column names, from the YAML or the file's first line."""
    if options.header is not None:
        return options.header
    with open_text(file) as stream:
        head = io.StringIO(stream.read(_HEADER_BYTES).decode("utf-8-sig", errors="replace"), newline="")
    lines = csv.reader(head, delimiter=_delimiter(file, options), quotechar=options.quote)
    return next((line for line in lines if line), [])


def _delimiter(file: InputFile, options: CsvOptions) -> str:
    """A tab for .tsv, unless the YAML names another one."""
    is_tsv = plain_name(file).endswith(".tsv")
    return "\t" if is_tsv and "delimiter" not in options.model_fields_set else options.delimiter


def _needs_larger_block(error: pa.ArrowInvalid, block: int) -> bool:
    return "straddling" in str(error) and block != _BLOCKS[-1]


def _is_header_alone(file: InputFile, error: pa.ArrowInvalid) -> bool:
    """A header without a line break after it, which pyarrow takes for a broken file."""
    if "cannot infer number of columns" not in str(error) and "Empty CSV file" not in str(error):
        return False
    with open_text(file) as stream:
        return len(stream.read(_BLOCKS[0]).strip().splitlines()) == 1


def _explained(file: InputFile, error: pa.ArrowInvalid, options: CsvOptions) -> Exception:
    """The error with the lines that are to blame; the error itself when none is found."""
    message = None
    if "Expected" in str(error) and "columns, got" in str(error):
        message = _uneven_lines(file, options)
    elif "UTF8" in str(error):
        message = _not_utf8(file)
    return error if message is None else UnreadableError(message)


def _uneven_lines(file: InputFile, options: CsvOptions) -> str | None:
    """Name the lines that have more or fewer fields than the header; read again by Python, for exact line numbers."""
    width = len(_names(file, options))
    delimiter = _delimiter(file, options)
    uneven: list[tuple[int, int]] = []
    with open_text(file) as stream:
        lines = csv.reader(_text_lines(stream), delimiter=delimiter, quotechar=options.quote)
        line_number = 1
        for fields in lines:
            if fields and len(fields) != width:
                uneven.append((line_number, len(fields)))
                if len(uneven) == EXAMPLES:
                    break
            line_number = lines.line_num + 1
    if not uneven:
        return None
    also = "".join(f", {n} in line {line:,}" for line, n in uneven[1:])
    return (
        f"{file.path} line {uneven[0][0]:,}: a line must have {width} fields, as the header has "
        f"(got {uneven[0][1]}{also}). Quote fields that hold {delimiter!r}, or set csv.delimiter"
    )


def _text_lines(stream: pa.NativeFile) -> Iterator[str]:
    return io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", errors="replace", newline="")


def _not_utf8(file: InputFile) -> str | None:
    with open_text(file) as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as err:
                return (
                    f"{file.path} line {number:,}: text must be UTF-8 (got byte 0x{line[err.start]:02x}). "
                    "Write the file as UTF-8, e.g. iconv -f latin1 -t utf-8"
                )
    return None
