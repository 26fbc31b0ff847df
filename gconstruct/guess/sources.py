"""Files and folders -> tables: which files are one table, and its rows in pieces.

Files of one folder with the same columns, whose names end with a number after '-', '_' or '.', are one table:
rows-0.parquet, rows-1.parquet. Every other file is a table of its own.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import pyarrow as pa

from gconstruct.guess.dialect import sniff
from gconstruct.inputs import InputFile, resolve
from gconstruct.problems import Problems
from gconstruct.readers import READ_ERRORS, Header, Piece, UnreadableError, reader_of
from gconstruct.tables.headers import read_header, why_unreadable
from graphstorm_like.config.rows import CsvOptions
from graphstorm_like.errors import DataError

_SAMPLED_PIECES = 5
_RUNS = 16
_NUMBERED = re.compile(r"^(?P<stem>.*?)(?:^|[-_.])(?:part[-_]?)?\d+(?:[-_]of[-_]\d+)?$", re.IGNORECASE)
_PART = re.compile(r"^part[-_]", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """The files of one table. types: by column, of all files; None for text that may stand for anything."""

    name: str
    files: tuple[InputFile, ...]
    pieces_of: tuple[tuple[Piece, ...], ...]
    """For each file."""
    types: dict[str, pa.DataType | None]
    csv: CsvOptions

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows in order, some megabytes at a time. Raises DataError when a file cannot be read."""
        for file, pieces in zip(self.files, self.pieces_of, strict=True):
            for piece in pieces:
                yield from self._batches(file, piece, columns)

    def _batches(self, file: InputFile, piece: Piece, columns: Sequence[str]) -> Iterator[pa.Table]:
        types = {name: self.types[name] or pa.large_string() for name in columns}
        try:
            for batch in reader_of(file).batches(file, piece, types, self.csv):
                yield batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        except (UnreadableError, *READ_ERRORS) as error:
            raise DataError(why_unreadable(file, error, self.csv)) from error

    def sample(self, rows: int) -> tuple[pa.Table, bool]:
        """At most about `rows` rows from all over the files, and whether they are all."""
        columns = list(self.types)
        share = max(rows // len(self.files), 1_000)
        parts, complete = [], True
        for file, pieces in zip(self.files, self.pieces_of, strict=True):
            for part, whole in self._sample_file(file, pieces, columns, share):
                parts.append(part)
                complete &= whole
        empty = pa.table({name: pa.array([], data_type or pa.large_string()) for name, data_type in self.types.items()})
        return pa.concat_tables(
            [part for part in parts if part.num_rows] or [empty], promote_options="permissive"
        ), complete

    def _sample_file(
        self, file: InputFile, pieces: Sequence[Piece], columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.Table, bool]]:
        """The first, the last and evenly spread pieces; of a piece of unknown length the beginning."""
        wanted = min(len(pieces), _SAMPLED_PIECES)
        total = sum(piece.rows or 0 for piece in pieces)
        if total <= rows and all(piece.rows is not None for piece in pieces):
            wanted = len(pieces)
        chosen = sorted({round(i * (len(pieces) - 1) / max(wanted - 1, 1)) for i in range(wanted)})
        share = max(rows // max(len(chosen), 1), 1)
        for number in chosen:
            piece, taken = pieces[number], 0
            for batch in self._batches(file, piece, columns):
                known = piece.rows if piece.rows is not None else batch.num_rows
                kept = batch.num_rows if known <= share else max(share * batch.num_rows // known, 1)
                if piece.rows is None:
                    kept = min(batch.num_rows, share - taken)
                yield _spread(batch, kept), kept == batch.num_rows and len(chosen) == len(pieces)
                taken += kept
                if piece.rows is None and taken >= share:
                    yield batch.slice(0, 0), False
                    break


def _spread(table: pa.Table, rows: int) -> pa.Table:
    """Runs of rows from all over a table, `rows` in all: tables are often sorted."""
    if table.num_rows <= rows:
        return table
    runs = min(_RUNS, rows)
    run = rows // runs
    step = (table.num_rows - run) / max(runs - 1, 1)
    return pa.concat_tables([table.slice(round(i * step), run) for i in range(runs)])


def find_sources(paths: Sequence[str]) -> list[Source]:
    """The tables in files, globs and folders (and in folders of these), in order, each file once.

    Raises DataError that names every path without a table and every file that cannot be read.
    """
    problems = Problems()
    files: dict[str, InputFile] = {}
    for path in paths:
        if "://" not in path and not glob.has_magic(path) and not os.path.exists(os.path.expanduser(path)):
            problems.add(f"{path}: must be a file or folder of tables (got nothing there). Check the path")
            continue
        for place in _with_folders(path):
            found = resolve("tables", [place], None, "auto", problems)
            files.update({file.path: file for file in found})
    sources = _grouped(list(files.values()), problems)
    problems.raise_if_any()
    return _with_own_names(sources)


def _with_folders(path: str) -> list[str]:
    """The path, or instead of a folder without data files those of its folders that have some."""
    full = os.path.expanduser(path)
    if not os.path.isdir(full):
        return [path]
    entries = sorted(os.scandir(full), key=lambda entry: entry.name)
    inside = [entry.path for entry in entries if entry.is_dir() and not entry.name.startswith((".", "_"))]
    folders = [place for place in inside if not _fails(place)]
    return ([] if folders and _fails(full) else [path]) + folders


def _fails(path: str) -> bool:
    probe = Problems()
    resolve("tables", [path], None, "auto", probe)
    return len(probe) > 0


def _grouped(files: Sequence[InputFile], problems: Problems) -> list[Source]:
    groups: dict[tuple[object, ...], list[tuple[InputFile, Header]]] = {}
    options_of: dict[tuple[object, ...], CsvOptions] = {}
    for file in files:
        options = _options(file, problems)
        header = None if options is None else read_header(file, options, (), problems)
        if options is None or header is None or not header.columns:
            continue
        names = tuple(name for name, _ in header.columns)
        key = (os.path.dirname(file.path), _stem(file), file.format, names, options.delimiter, options.quote)
        groups.setdefault(key, []).append((file, header))
        options_of[key] = options
    return [_source(str(key[1]), found, options_of[key]) for key, found in groups.items()]


def _options(file: InputFile, problems: Problems) -> CsvOptions | None:
    """How a CSV file is written; None when it cannot be read."""
    if file.format != "csv" or not file.size:
        return CsvOptions()
    try:
        return sniff(file)
    except READ_ERRORS as error:
        problems.add(why_unreadable(file, error, CsvOptions()))
        return None


def _source(name: str, found: Sequence[tuple[InputFile, Header]], options: CsvOptions) -> Source:
    """One table: a column that one file knows the type of has that type."""
    types: dict[str, pa.DataType | None] = {}
    for _, header in found:
        for column, data_type in header.columns:
            known = types.get(column)
            unknown_yet = known is None or pa.types.is_null(known)
            types[column] = data_type if unknown_yet and data_type is not None else known
    files = tuple(file for file, _ in found)
    return Source(name, files, tuple(header.pieces for _, header in found), types, options)


def _stem(file: InputFile) -> str:
    """The name of the table that a file is, or is a part of: files named part-0 are called as their folder."""
    name = PurePath(file.path).name
    bare = name.split(".")[0] if not name.startswith(".") else name
    match = _NUMBERED.match(bare)
    stem = match["stem"].strip("-_.") if match else bare
    if not stem or _PART.match(bare) or stem.lower() == "part":
        return PurePath(file.path).parent.name or "table"
    return stem


def _with_own_names(sources: Sequence[Source]) -> list[Source]:
    """Tables of one name in several folders, or with other columns, get names of their own."""
    named: dict[str, Source] = {}
    for source in sources:
        name, number = source.name, 2
        if name in named and len(source.files) == 1:
            name = PurePath(source.files[0].path).name.split(".")[0]
        while name in named:
            name, number = f"{source.name}_{number}", number + 1
        named[name] = replace(source, name=name)
    return list(named.values())
