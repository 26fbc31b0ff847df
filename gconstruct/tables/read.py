"""Rows of planned tables, whole, by piece, or as a stream in order.

Out: Tables with the planned columns, cast to the planned types. What cannot be read or cast goes to `problems` with
file and row; all files are read nevertheless, so that one attempt tells all that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.inputs import InputFile
from gconstruct.kinds import kind_of
from gconstruct.problems import Problems, shown
from gconstruct.readers import READ_ERRORS, UnreadableError, reader_of
from gconstruct.tables.filters import select_rows
from gconstruct.tables.headers import why_unreadable
from gconstruct.tables.joins import JoinedTable, with_columns, with_unique_ids
from gconstruct.tables.plan import ColumnPlan, TablePiece, TablePlan
from gconstruct.tables.table import Segment, Table
from gconstruct.values import cast_values, first_failure
from graphstorm_like.mirror.stores import store_errors

ROWS_PER_BATCH = 1 << 16


def read_table(plan: TablePlan, problems: Problems) -> Table | None:
    """All rows of a table, or None when something could not be read (then `problems` says what)."""
    before = len(problems)
    parts: list[pa.Table] = []
    segments: list[Segment] = []
    for file in plan.files:
        pieces = [piece for piece in plan.pieces if piece.file == file]
        try:
            with store_errors():
                read = reader_of(file).read(file, [p.part for p in pieces], plan.read_columns(file), plan.csv)
        except (UnreadableError, *READ_ERRORS) as err:
            problems.add(why_unreadable(file, err, plan.csv))
            continue
        parts.append(_Caster(plan, problems).cast(file, read, 0))
        segments.append(Segment(file.path, 0, read.num_rows))
    if len(problems) > before:
        return None
    table = select_rows(Table(plan, pa.concat_tables(parts), segments), problems)
    others = _joined_tables(plan, problems)
    return with_columns(table, others) if len(problems) == before else None


def _joined_tables(plan: TablePlan, problems: Problems) -> list[JoinedTable]:
    """Whole, with one row an id; too few when `problems` says why."""
    tables = []
    for join in plan.joins:
        table = read_table(join.plan, problems)
        if table is not None:
            tables.append(JoinedTable(join, with_unique_ids(table, join, problems)))
    return tables


def stream_table(plan: TablePlan, problems: Problems, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[Table]:
    """All rows of a table in order, in Tables of `rows_per_batch` rows at most; small files share one.

    No Table comes after a row that could not be read (then `problems` says what): ask for problems at the end. A table
    without rows gives one Table without rows.
    """
    yield from _stream(plan, plan.pieces, problems, rows_per_batch)


def read_piece(
    plan: TablePlan, piece: TablePiece, problems: Problems, rows_per_batch: int = ROWS_PER_BATCH
) -> Iterator[Table]:
    """As `stream_table`, of one of `plan.pieces`."""
    yield from _stream(plan, [piece], problems, rows_per_batch)


def _stream(plan: TablePlan, pieces: Iterable[TablePiece], problems: Problems, rows_per_batch: int) -> Iterator[Table]:
    """Gathers and cuts what the readers give."""
    before, given = len(problems), 0
    others = _joined_tables(plan, problems)
    for gathered in _gathered(plan, _read(plan, pieces, problems), rows_per_batch):
        table = select_rows(gathered, problems) if len(problems) == before else gathered
        if len(problems) == before and (len(table) or table.unknown_relations):
            yield with_columns(table, others)
            given += 1
    if len(problems) == before and not given:
        own = plan.schema.empty_table().select(list(plan.own_columns))
        yield with_columns(Table(plan, own, []), others)


def _gathered(plan: TablePlan, read: Iterable[tuple[str, int, pa.Table]], rows_per_batch: int) -> Iterator[Table]:
    parts: list[pa.Table] = []
    segments: list[Segment] = []
    waiting = 0
    for path, first_row, rows in read:
        start = 0
        while start < rows.num_rows:
            taken = min(rows.num_rows - start, rows_per_batch - waiting)
            parts.append(rows.slice(start, taken))
            segments.append(Segment(path, first_row + start, taken))
            start, waiting = start + taken, waiting + taken
            if waiting == rows_per_batch:
                yield Table(plan, pa.concat_tables(parts), segments)
                parts, segments, waiting = [], [], 0
    if waiting:
        yield Table(plan, pa.concat_tables(parts), segments)


def _read(plan: TablePlan, pieces: Iterable[TablePiece], problems: Problems) -> Iterator[tuple[str, int, pa.Table]]:
    """(file, rows of the file before, rows) of everything that can be read."""
    caster = _Caster(plan, problems)
    for piece in pieces:
        file, row = piece.file, piece.part.first_row
        try:
            batches = iter(reader_of(file).batches(file, piece.part, plan.read_columns(file), plan.csv))
            while True:
                with store_errors():
                    batch = next(batches, None)
                if batch is None:
                    break
                rows = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
                yield file.path, row, caster.cast(file, rows, row)
                row += rows.num_rows
        except (UnreadableError, *READ_ERRORS) as err:
            problems.add(why_unreadable(file, err, plan.csv))


class _Caster:
    """Casts columns to the planned types; of each column of each file the first value that does not fit is told."""

    def __init__(self, plan: TablePlan, problems: Problems) -> None:
        self._plan, self._problems = plan, problems
        self._failed: set[tuple[str, str]] = set()

    def cast(self, file: InputFile, rows: pa.Table, first_row: int) -> pa.Table:
        """The planned columns. first_row: rows of the file before these."""
        by_path = self._plan.path_columns.get(file.path, {})
        columns = {}
        for name, planned in self._plan.own_columns.items():
            if name in by_path:
                value = pa.scalar(by_path[name], pa.large_string())
                column = pa.chunked_array([pa.repeat(value, rows.num_rows)])
            else:
                column = rows.column(name)
            columns[name] = self._column(file, name, column, planned, first_row)
        return pa.table(columns)

    def _column(
        self, file: InputFile, name: str, column: pa.ChunkedArray, planned: ColumnPlan, first_row: int
    ) -> pa.ChunkedArray:
        if (file.path, name) in self._failed:
            return pa.chunked_array([pa.nulls(len(column), planned.type)])
        if not reader_of(file).checks_text:
            column = pc.cast(_without_views(column), _as_bytes(column.type))
        try:
            return cast_values(column, planned.type)
        except pa.ArrowException:
            row = first_failure(column, planned.type)
            value = _decoded(column[row].as_py())
            rule = f"column {name!r} must hold {_described(planned.type)}"
            fix = planned.why or "Correct the value, or cast the column"
            self._problems.add(f"{file.path} row {first_row + row + 1:,}: {rule} (got {shown(value)}). {fix}")
            self._failed.add((file.path, name))
            return pa.chunked_array([pa.nulls(len(column), planned.type)])


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionaries of string views (categories of polars), which Arrow cannot decode, with plain bytes."""
    is_dictionary = pa.types.is_dictionary(column.type)
    if not is_dictionary or not pa.types.is_string_view(column.type.value_type):
        return column
    plain = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.large_binary()))
        for chunk in column.chunks
    ]
    return pa.chunked_array(plain, pa.dictionary(column.type.index_type, pa.large_binary()))


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
