"""Files that list ids: Parquet, CSV, JSON, JSON lines, or text with one id a line.

Out: the ids as large_string, those of edges as 'source, EDGE_SEPARATOR, target'. Integers become their decimal strings,
and so hash like ids of either type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gconstruct.inputs import ID_LIST, InputFile, resolve
from gconstruct.problems import Problems, shown
from gconstruct.splits.base import EDGE_SEPARATOR
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.errors import unknown

_READ_ERRORS = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, ValueError)


class _BadList(Exception):
    """A file that breaks a rule; the text continues 'must'."""


def split_files(config: SplitConfig, part: str, key: str, base: str | None, problems: Problems) -> list[InputFile]:
    """The files of one part, e.g. 'valid', of the split at `key`."""
    return resolve(key, config.files()[part], base, ID_LIST, problems, part)


def read_ids(
    files: list[InputFile], columns: list[str], is_edge: bool, key: str, problems: Problems
) -> pa.Array | None:
    """The ids of all files, one after another; None: `problems` says why not. columns: their names, or [] for the
    first ones. key: where the YAML names the files."""
    before, pieces = len(problems), []
    width = 2 if is_edge else 1
    if columns and len(columns) != width:
        wanted = "the source's and the target's" if is_edge else "one"
        where = f"{key.rpartition('.')[0]}.columns"
        problems.add(f"{where}: must name {width} column{'s' * is_edge}, {wanted} (got {len(columns)})", where)
        return None
    for file in files:
        try:
            pieces.append(_joined(_reader(file)(file, columns, width)))
        except _BadList as err:
            problems.add(f"{file.path}: must {err}. See {key}", key)
        except _READ_ERRORS as err:
            reason = (str(err).strip() or type(err).__name__).splitlines()[0]
            problems.add(f"{file.path}: must be a list of ids that can be read (got: {reason}). See {key}", key)
    return pa.concat_arrays([pa.array([], pa.large_string()), *pieces]) if len(problems) == before else None


def _reader(file: InputFile) -> Callable[[InputFile, list[str], int], list[pa.Array]]:
    name = file.path.lower().removesuffix(".gz")
    readers = {".parquet": _parquet, ".pq": _parquet, ".csv": _csv, ".tsv": _csv, ".json": _json, ".jsonl": _json}
    return next((reader for suffix, reader in readers.items() if name.endswith(suffix)), _text)


def _joined(columns: list[pa.Array]) -> pa.Array:
    """One string per row; an id may not be null."""
    strings = [pc.cast(column, pa.large_string()) for column in columns]
    for column in strings:
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py() + 1
            raise _BadList(f"hold an id in every row (got null in row {row:,})")
    if len(strings) == 1:
        return strings[0]
    return pc.binary_join_element_wise(*strings, pa.scalar(EDGE_SEPARATOR, pa.large_string()))


def _stream(file: InputFile) -> Any:
    """The bytes, decompressed."""
    compression = "gzip" if file.path.lower().endswith(".gz") else None
    return pa.input_stream(file.path if file.is_local else file.open(), compression=compression)


def _parquet(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    with pq.ParquetFile(file.path if file.is_local else file.open()) as parquet:
        names = _chosen(file, parquet.schema_arrow.names, columns, width)
        table = parquet.read(columns=names)
    return [_id_column(name, table.column(name).combine_chunks()) for name in names]


def _id_column(name: str, column: pa.Array) -> pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    allowed = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if not any(test(kind) for test in (*allowed, pa.types.is_null)):
        raise _BadList(f"hold strings or integers in column {name!r} (got {column.type})")
    return column


def _csv(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    """Values stay text, as in tables."""
    delimiter = "\t" if file.path.lower().removesuffix(".gz").endswith(".tsv") else ","
    options = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with _stream(file) as stream:
        header = pacsv.open_csv(stream, parse_options=options).schema.names
    names = _chosen(file, header, columns, width)
    convert = pacsv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.large_string()))
    with _stream(file) as stream:
        table = pacsv.read_csv(stream, parse_options=options, convert_options=convert)
    return [table.column(name).combine_chunks() for name in names]


def _chosen(file: InputFile, header: list[str], columns: list[str], width: int) -> list[str]:
    for name in columns:
        if name not in header:
            message = unknown(file.path, "column", name, header).removeprefix(f"{file.path}: ")
            raise _BadList(f"have the columns that it is read for ({message.rstrip('.')})")
    if len(header) < width:
        raise _BadList(f"have {width} columns, the source's id and the target's (got {len(header)})")
    return columns or header[:width]


def _json(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    """A list, or one value a line: ids, pairs of ids, or mappings."""
    with _stream(file) as stream:
        text = stream.read().decode("utf-8-sig")
    if file.path.lower().removesuffix(".gz").endswith(".jsonl"):
        values = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        values = json.loads(text)
    if not isinstance(values, list):
        raise _BadList(f"be a list of ids in JSON (got {shown(values)})")
    rows = [_row(value, columns, width) for value in values]
    return [pa.array([row[i] for row in rows], pa.large_string()) for i in range(width)]


def _row(value: Any, columns: list[str], width: int) -> list[str]:
    """`width` strings of one JSON value."""
    ids = value
    if isinstance(value, dict):
        ids = [value.get(name) for name in columns or list(value)[:width]]
    elif width == 1:
        ids = [value]
    valid = isinstance(ids, list) and len(ids) == width
    if not valid or not all(isinstance(one, str | int) and not isinstance(one, bool) for one in ids):
        wanted = "an id, a string or an integer" if width == 1 else "a pair of ids, strings or integers"
        raise _BadList(f"hold {wanted}, in every entry (got {shown(value)})")
    return [str(one) for one in ids]


def _text(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    """One id a line, or two with a tab between them. Empty lines are ignored."""
    with _stream(file) as stream:
        rows = list(_lines(stream.read().decode("utf-8-sig"), width))
    return [pa.array([row[i] for row in rows], pa.large_string()) for i in range(width)]


def _lines(text: str, width: int) -> Iterator[list[str]]:
    for number, line in enumerate(text.split("\n"), 1):
        ids = [line.removesuffix("\r")] if width == 1 else line.removesuffix("\r").split("\t")
        if ids == [""]:
            continue
        if len(ids) != width:
            raise _BadList(f"hold two ids with a tab between them in every line (got {shown(line)} in line {number:,})")
        yield ids
