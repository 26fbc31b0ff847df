"""Files that list ids: of any format that tables have, JSON lists, or text with one id a line.

Out: the ids as large_string, those of edges as 'source, EDGE_SEPARATOR, target'. Integers become their decimal strings,
and so hash like ids of either type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.inputs import ID_LIST, InputFile, resolve
from gconstruct.kinds import accepts, kind_of
from gconstruct.problems import Problems, shown
from gconstruct.readers import reader_of
from gconstruct.readers.base import READ_ERRORS, UnreadableError, reason_of
from gconstruct.readers.compression import open_text
from gconstruct.splits.base import EDGE_SEPARATOR
from graphstorm_like.config.formats import format_of
from graphstorm_like.config.rows import CsvOptions
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.errors import unknown

_CSV = CsvOptions()


class _BadListError(Exception):
    """A file breaks a rule; the text continues 'must'."""


def split_files(config: SplitConfig, part: str, key: str, base: str | None, problems: Problems) -> list[InputFile]:
    """The files of one part, e.g. 'valid', of the split at `key`."""
    return resolve(key, config.files()[part], base, ID_LIST, problems, part)


def read_ids(
    files: list[InputFile], columns: list[str], is_edge: bool, key: str, problems: Problems
) -> pa.Array | None:
    """The ids of all files, one after another; None: `problems` says why not. columns: their names, or [] for the
    first ones. key: where the YAML names the files."""
    before, pieces = len(problems), [pa.array([], pa.large_string())]
    width = 2 if is_edge else 1
    if columns and len(columns) != width:
        wanted = "two columns, the source's and the target's" if is_edge else "one column"
        where = f"{key.rpartition('.')[0]}.columns"
        problems.add(f"{where}: must name {wanted} (got {len(columns)})", where)
        return None
    for file in files:
        read = _reader(file)
        try:
            pieces.append(_joined(read(file, columns, width)))
        except _BadListError as err:
            problems.add(f"{file.path}: must {err}. See {key}", key)
        except UnreadableError as err:
            problems.add(str(err), key)
        except READ_ERRORS as err:
            problems.add(f"{file.path}: must be a list of ids that can be read (got: {reason_of(err)}). See {key}", key)
    return pa.concat_arrays(pieces) if len(problems) == before else None


def read_columns(files: list[InputFile], width: int, key: str, problems: Problems) -> list[pa.Array] | None:
    """The first `width` columns of all files, one after another, as strings; '' where there is none. None: `problems`
    says why not. key: where the YAML names the files."""
    before = len(problems)
    pieces: list[list[pa.Array]] = [[pa.array([], pa.large_string())] for _ in range(width)]
    for file in files:
        try:
            read = _reader(file)(file, [], width)
        except _BadListError as err:
            problems.add(f"{file.path}: must {err}. See {key}", key)
        except UnreadableError as err:
            problems.add(str(err), key)
        except READ_ERRORS as err:
            problems.add(f"{file.path}: must be a table that can be read (got: {reason_of(err)}). See {key}", key)
        else:
            for piece, column in zip(pieces, read, strict=True):
                piece.append(pc.fill_null(pc.cast(column, pa.large_string()), ""))
    return [pa.concat_arrays(piece) for piece in pieces] if len(problems) == before else None


def _reader(file: InputFile) -> Callable[[InputFile, list[str], int], list[pa.Array]]:
    if file.path.lower().endswith((".json", ".json.gz", ".json.zst")):
        return _json
    return _text if format_of(file.path) is None else _table


def _joined(columns: list[pa.Array]) -> pa.Array:
    """One string per row; an id may not be null."""
    strings = [pc.cast(column, pa.large_string()) for column in columns]
    for column in strings:
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py() + 1
            raise _BadListError(f"hold an id in every row (got null in row {row:,})")
    if len(strings) == 1:
        return strings[0]
    return pc.binary_join_element_wise(*strings, pa.scalar(EDGE_SEPARATOR, pa.large_string()))


def _table(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    """The columns of a format that tables have. Values of CSV stay text, as in tables."""
    file = replace(file, format=str(format_of(file.path)))
    reader = reader_of(file)
    header = reader.header(file, _CSV, columns)
    types = dict(header.columns)
    names = _chosen(file, list(types), columns, width)
    read_as: dict[str, pa.DataType] = {}
    for name in names:
        data_type = types[name]
        kind = "text" if data_type is None else kind_of(data_type)
        if not accepts("id", kind):
            raise _BadListError(f"hold strings or integers in column {name!r} (got {data_type})")
        read_as[name] = pa.large_string() if data_type is None else data_type
    table = reader.read(file, header.pieces, read_as, _CSV)
    return [pa.concat_arrays(table.column(name).chunks or [pa.array([], pa.large_string())]) for name in names]


def _chosen(file: InputFile, header: list[str], columns: list[str], width: int) -> list[str]:
    for name in columns:
        if name not in header:
            raise _BadListError(f"have the columns that are named ({unknown('', 'column', name, header)[2:]})")
    if len(header) < width:
        wanted = ("a column", "two columns, the source's id and the target's", "columns source, relation, target")
        raise _BadListError(f"have {wanted[width - 1]} (got {len(header)})")
    return columns or header[:width]


def _json(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    """A list of ids, of pairs of ids, or of mappings."""
    with open_text(file) as stream:
        values = json.loads(stream.read().decode("utf-8-sig"))
    if not isinstance(values, list):
        raise _BadListError(f"be a list of ids in JSON (got {shown(values)})")
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
        wanted = f"{('an id', 'a pair of ids', 'source, relation, target')[width - 1]}, strings or integers"
        wanted = "an id, a string or an integer" if width == 1 else wanted
        raise _BadListError(f"hold {wanted}, in every entry (got {shown(value)})")
    return [str(one) for one in ids]


def _text(file: InputFile, columns: list[str], width: int) -> list[pa.Array]:
    """One id a line, or several with a tab between them. Empty lines are ignored."""
    with open_text(file) as stream:
        rows = list(_lines(stream.read().decode("utf-8-sig"), width))
    return [pa.array([row[i] for row in rows], pa.large_string()) for i in range(width)]


def _lines(text: str, width: int) -> Iterator[list[str]]:
    for number, line in enumerate(text.split("\n"), 1):
        ids = [line.removesuffix("\r")] if width == 1 else line.removesuffix("\r").split("\t")
        if ids == [""]:
            continue
        if len(ids) != width:
            finding = f"got {shown(line)} in line {number:,}"
            wanted = "two ids" if width == 2 else "source, relation and target"
            raise _BadListError(f"hold {wanted} with a tab between them in every line ({finding})")
        yield ids
