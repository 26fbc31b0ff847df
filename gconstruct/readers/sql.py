"""Rows of databases: DuckDB gives Arrow itself, others go through SQLAlchemy. A table or query is one piece.

SQLAlchemy tells no types that hold for all drivers: types are those of the first rows, and each batch has its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote

import pyarrow as pa

from gconstruct.inputs import InputFile
from gconstruct.kinds import kind_of, merge_types
from gconstruct.problems import shown
from gconstruct.readers.base import Header, Piece, Reader, UnreadableError, register
from graphstorm_like.config.rows import CsvOptions
from graphstorm_like.config.sql import SqlConfig
from graphstorm_like.errors import MissingExtraError

_ROWS = 1 << 14
"""Of a batch"""
_DUCKDB, _SQLITE = "duckdb:///", "sqlite"
_PORT = re.compile(r"(://(?:[^/?@]*@)?[^/?@:]*:)(\$\w+|\$\{\w+\})(?=[/?]|$)")
_ODBC_VARIABLE = re.compile(r"(=\s*)\{?(\$\w+|\$\{\w+\})\}?\s*(?=;|$)")


@register("sql")
class SqlReader(Reader):
    """Reads with a cursor, a few thousand rows at a time."""

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From DuckDB's own types, or as many rows as it takes to see a value of every needed column."""
        with _told(file) as sql:
            if sql.url.startswith(_DUCKDB):
                with _duckdb(sql) as relation:
                    schema = relation.limit(0).to_arrow_table().schema
                return Header(tuple((field.name, field.type) for field in schema), (Piece(),))
            types: dict[str, pa.DataType] = {}
            for batch in _rows(file, sql, None):
                for field in batch.schema:
                    types[field.name] = _merged(types.get(field.name, pa.null()), field.type)
                if all(kind_of(types.get(name, pa.null())) != "null" for name in needed):
                    break
            return Header(tuple(types.items()), (Piece(),), guessed=True)

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch]:
        """In the order in which the database gives them."""
        names = list(columns)
        with _told(file) as sql:
            if sql.url.startswith(_DUCKDB):
                with _duckdb(sql) as relation:
                    for batch in relation.to_arrow_reader(_ROWS):
                        yield batch.select(names)
            else:
                for batch in _rows(file, sql, names):
                    yield batch.select(names)

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """With the database's own words."""
        assert file.source is not None
        return _message(file, file.source, error)


@contextmanager
def _told(file: InputFile) -> Iterator[SqlConfig]:
    """Errors of databases as ours."""
    sql = file.source
    assert sql is not None
    if sql.url.startswith(_SQLITE):
        path = sql.url.partition(":///")[2].partition("?")[0]
        if path.startswith("file:"):
            path = unquote(path.removeprefix("file:"))
        if path and not os.path.exists(path):  # SQLite would make one
            raise UnreadableError(f"{file.path}: must be a database that is there (got no file {path}). Check the path")
    try:
        yield sql
    except (UnreadableError, MissingExtraError, GeneratorExit):
        raise
    except Exception as err:  # drivers have their own errors
        raise UnreadableError(_message(file, sql, err)) from None


def _message(file: InputFile, sql: SqlConfig, error: BaseException) -> str:
    """Secrets that a driver repeats are left out."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    secrets = {*sql.secrets(), *map(os.path.expandvars, sql.secrets())}
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a part of another
        reason = reason.replace(secret, "***")
    if isinstance(error, ImportError):
        return f"{file.path}: needs the driver of this database (got: {reason}). Install it with pip"
    return f"{file.path}: must be rows that the database gives (got: {reason}). Check sql.url and the names"


@contextmanager
def _duckdb(sql: SqlConfig) -> Iterator[Any]:
    """The table or query, not yet executed."""
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("sql.url: duckdb", "duckdb", "sql") from None

    path, _, options = sql.url.removeprefix(_DUCKDB).partition("?")
    settings: dict[str, Any] = {name: os.path.expandvars(value) for name, value in parse_qsl(options)}
    connection = duckdb.connect(path, read_only=True, config=settings)
    try:
        yield connection.sql(sql.query) if sql.query is not None else connection.table(str(sql.table))
    finally:
        connection.close()


def _rows(file: InputFile, sql: SqlConfig, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    """Batches of these columns of a table, or of all; a query has the columns that it has."""
    try:
        import sqlalchemy
    except ImportError:
        raise MissingExtraError("sql.url", "sqlalchemy", "sql") from None

    engine = sqlalchemy.create_engine(_expanded(sql.url), poolclass=sqlalchemy.NullPool)
    with engine.connect().execution_options(stream_results=True, yield_per=_ROWS) as connection:
        result = connection.execute(_statement(sql, names))
        columns, row = list(result.keys()), 0
        for rows in result.partitions(_ROWS):
            yield _batch(file, columns, rows, row)
            row += len(rows)
        if row == 0:
            yield _batch(file, columns, [], 0)


def _expanded(text: str) -> Any:
    """The sqlalchemy.URL with the values of environment variables. They are put into its parts after these are told
    apart, so that '@' or '/' in a password stay there."""
    import sqlalchemy

    url = sqlalchemy.make_url(_PORT.sub(lambda port: port[1] + os.path.expandvars(port[2]), text))
    named = {name: getattr(url, name) for name in ("username", "password", "host", "database")}
    parts: dict[str, Any] = {name: os.path.expandvars(str(value)) for name, value in named.items() if value is not None}
    if url.get_backend_name() == _SQLITE:
        parts.pop("database", None)  # its path was expanded when it was made absolute
    host, _, port = parts.get("host", "").partition(":")
    if url.port is None and port.isdecimal():  # of a variable with both
        url, parts["host"] = url.set(port=int(port)), host
    query: dict[str, Any] = {}
    for name, value in url.query.items():
        expand = _odbc if name.lower() == "odbc_connect" else os.path.expandvars
        query[name] = expand(value) if isinstance(value, str) else tuple(map(expand, value))
    return url.set(**parts, query=query)


def _odbc(connect: str) -> str:
    """A connection string of ODBC with the values of environment variables, in braces where they need them."""

    def value(found: re.Match[str]) -> str:
        text = os.path.expandvars(found[2])
        needs_braces = found[2] != text and any(letter in text for letter in ";{}")
        return found[1] + ("{" + text.replace("}", "}}") + "}" if needs_braces else text)

    return _ODBC_VARIABLE.sub(value, connect) if "=" in connect else os.path.expandvars(connect)


def _statement(sql: SqlConfig, names: Sequence[str] | None) -> Any:
    import sqlalchemy

    if sql.query is not None:
        return sqlalchemy.text(sql.query)
    schema, _, table = str(sql.table).rpartition(".")
    columns: list[Any] = [sqlalchemy.text("*")] if names is None else [sqlalchemy.column(name) for name in names]
    return sqlalchemy.select(*columns).select_from(sqlalchemy.table(table, schema=schema or None))


def _batch(file: InputFile, names: Sequence[str], rows: Sequence[Sequence[Any]], first_row: int) -> pa.RecordBatch:
    """The values of some rows; each column has the type of its values here."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [
        _array(file, name, [_plain(value) for value in values], first_row)
        for name, values in zip(names, by_column, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def _plain(value: Any) -> Any:
    """What pyarrow knows, for types of drivers: UUIDs and the like are text."""
    if value is None or isinstance(value, str | int | float | bytes | list) or hasattr(value, "as_tuple"):
        return value
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value if hasattr(value, "isoformat") else str(value)


def _array(file: InputFile, name: str, values: Sequence[Any], first_row: int) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as err:
        kinds: dict[str, int] = {}
        for row, value in enumerate(values, first_row):
            if value is not None:
                kinds.setdefault(type(value).__name__, row)
        if len(kinds) < 2:
            raise UnreadableError(f"{file.path}: column {name!r} must hold values of one type (got: {err})") from None
        (one, _), (other, row), *_ = kinds.items()
        value = shown(values[row - first_row])
        rule = f"column {name!r} must hold values of one type, {one} as before"
        raise UnreadableError(
            f"{file.path} row {row + 1:,}: {rule} (got {value}, {other}). Correct the value, or cast it in a query"
        ) from None


def _merged(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Types of two batches; those that do not fit are found when the column is read."""
    merged = merge_types([first, second])
    return first if merged is None else merged
