"""Files of a table -> one Arrow table that can tell the file and row each of its rows came from.

In: a TablePlan. Out: Table with the planned columns, cast to the planned types. CSV columns are read as strings, so
that a value that is not a number can be reported with its row; nothing is guessed from the first rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from gconstruct.engines.arrow.peek import READ_ERRORS, csv_header, delimiter, open_csv, open_parquet, unreadable
from gconstruct.engines.arrow.plan import ColumnPlan, TablePlan
from gconstruct.inputs import InputFile
from gconstruct.kinds import kind_of
from gconstruct.problems import EXAMPLES, Problems, counted, shown
from gconstruct.values import Source, cast_values, first_failure
from graphstorm_like.config.graph import CsvOptions

_CSV_BLOCK = 16 << 20  # a row must fit into a block: long texts need more than pyarrow's 1 MB


@dataclass(slots=True)
class Table:
    """Rows of all files of a table, in order."""

    key: str
    files: list[InputFile]
    starts: np.ndarray
    """int64 (files + 1): where each file's rows start"""
    data: pa.Table
    plan: TablePlan
    rows: np.ndarray | None = None
    """int64 (rows): numbers the rows had when they were read, once some were left out"""

    def __len__(self) -> int:
        return int(self.data.num_rows)

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1)"""
        row = row if self.rows is None else int(self.rows[row])
        index = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.files[index].path, row - int(self.starts[index]) + 1

    def column(self, name: str) -> pa.Array:
        """A column in one piece, which replaces its chunks in the table: several uses share one copy."""
        column = self.data.column(name)
        if column.num_chunks == 1:
            return column.chunk(0)
        array = column.combine_chunks()
        self.data = self.data.set_column(self.data.schema.get_field_index(name), name, array)
        return array

    def keep(self, mask: np.ndarray) -> Table:
        """The rows where the mask (bool, rows) is true."""
        rows = np.flatnonzero(mask) if self.rows is None else self.rows[mask]
        return Table(self.key, self.files, self.starts, self.data.filter(pa.array(mask)), self.plan, rows)

    def source(self, name: str, key: str, problems: Problems) -> Source:
        """A column for what `key` names in the YAML."""
        return Source(name, self.column(name), self, key, problems, self.untyped(name))

    def untyped(self, name: str) -> bool:
        """From CSV only: strings that may stand for integers."""
        return self.plan.columns[name].untyped

    def label(self) -> str:
        """'items.parquet' or 'items.parquet and 3 more files'"""
        first, more = self.files[0].path, len(self.files) - 1
        return f"{first} and {counted(more, 'more file')}" if more else first


def read_table(plan: TablePlan, problems: Problems) -> Table | None:
    """All rows of a table, or None when something could not be read (then `problems` says what)."""
    before, pieces = len(problems), []
    for file in plan.files:
        piece = _read_file(file, plan, problems)
        if piece is not None:
            pieces.append(_cast(file, piece, plan.columns, problems))
    if len(problems) > before:
        return None
    starts = np.concatenate([[0], np.cumsum([p.num_rows for p in pieces])]).astype(np.int64)
    return Table(plan.key, plan.files, starts, pa.concat_tables(pieces), plan)


def _read_file(file: InputFile, plan: TablePlan, problems: Problems) -> pa.Table | None:
    names = list(plan.columns)
    try:
        if file.format == "csv":
            return _read_csv(file, plan.csv, names, problems)
        with open_parquet(file) as parquet:
            return parquet.read(columns=names).select(names)
    except READ_ERRORS as err:
        problems.add(unreadable(file, err))
        return None


def _read_csv(file: InputFile, options: CsvOptions, names: list[str], problems: Problems) -> pa.Table | None:
    header = csv_header(file, options)
    try:
        with open_csv(file) as stream:
            return pacsv.read_csv(
                stream,
                read_options=pacsv.ReadOptions(column_names=options.header, block_size=_CSV_BLOCK),
                parse_options=pacsv.ParseOptions(
                    delimiter=delimiter(file, options), quote_char=options.quote, newlines_in_values=True
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=names,
                    column_types=dict.fromkeys(header, pa.large_string()),
                    strings_can_be_null=True,
                    null_values=options.null_values,
                ),
            ).select(names)
    except pa.ArrowInvalid as err:
        text = str(err)
        if "cannot infer number of columns" in text and _is_header_alone(file):
            return pa.table({n: pa.array([], pa.large_string()) for n in names})
        message = None
        if "Expected" in text and "columns, got" in text:
            message = _uneven_lines(file, options)
        elif "UTF8" in text:
            message = _not_utf8(file)
        problems.add(message or unreadable(file, err))
        return None


def _is_header_alone(file: InputFile) -> bool:
    """A header without a line break after it, which pyarrow takes for a broken file."""
    with open_csv(file) as stream:
        return len(stream.read(_CSV_BLOCK).strip().splitlines()) == 1


def _uneven_lines(file: InputFile, options: CsvOptions) -> str | None:
    """Name the lines that have more or fewer fields than the header; read again by Python, for exact line numbers."""
    width = len(csv_header(file, options))
    uneven: list[tuple[int, int]] = []
    with open_csv(file) as stream:
        lines = csv.reader(_text_lines(stream), delimiter=delimiter(file, options), quotechar=options.quote)
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
        f"(got {uneven[0][1]}{also}). Quote fields that hold {delimiter(file, options)!r}, or set csv.delimiter"
    )


def _text_lines(stream: pa.NativeFile) -> Iterator[str]:
    return io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", errors="replace", newline="")


def _not_utf8(file: InputFile) -> str | None:
    with open_csv(file) as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as err:
                return (
                    f"{file.path} line {number:,}: text must be UTF-8 (got byte 0x{line[err.start]:02x}). "
                    "Write the file as UTF-8, e.g. iconv -f latin1 -t utf-8"
                )
    return None


def _cast(file: InputFile, piece: pa.Table, columns: dict[str, ColumnPlan], problems: Problems) -> pa.Table:
    cast_columns = {
        name: _cast_column(file, name, piece.column(name), plan, problems) for name, plan in columns.items()
    }
    return pa.table(cast_columns)


def _cast_column(
    file: InputFile, name: str, column: pa.ChunkedArray, plan: ColumnPlan, problems: Problems
) -> pa.ChunkedArray:
    if file.format == "parquet":
        column = pc.cast(column, _as_bytes(column.type))
    try:
        return cast_values(column, plan.type)
    except pa.ArrowException:
        row = first_failure(column, plan.type)
        value = _decoded(column[row].as_py())
        rule = f"column {name!r} must hold {_described(plan.type)}"
        fix = plan.why or "Correct the value, or cast the column"
        problems.add(f"{file.path} row {row + 1:,}: {rule} (got {shown(value)}). {fix}")
        return pa.chunked_array([pa.nulls(len(column), plan.type)])


def _as_bytes(data_type: pa.DataType) -> pa.DataType:
    """The type with bytes instead of strings. Neither Parquet nor Arrow checks that strings which it reads are UTF-8; a
    cast from bytes to strings does."""
    if pa.types.is_dictionary(data_type):
        value = _as_bytes(data_type.value_type)
        return data_type if value == data_type.value_type else value
    if kind_of(data_type) == "string":
        return pa.large_binary()
    if kind_of(data_type).startswith("list of "):
        value = _as_bytes(data_type.value_type)
        return data_type if value == data_type.value_type else pa.large_list(value)
    return data_type


def _decoded(value: object) -> object:
    """Bytes, also within a list, as text; those that are not UTF-8 stay bytes."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _described(data_type: pa.DataType) -> str:
    kind = kind_of(data_type)
    if kind == "list of string":
        return "lists of UTF-8 text"
    named = {"integer": "int64 integers", "float": "numbers", "string": "UTF-8 text"}
    return named.get(kind, f"values of type {data_type}")
