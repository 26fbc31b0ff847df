"""Files and folders -> tables: which files are one table, and its rows in pieces.

Files of one folder with the same columns, whose names end with a number after '-', '_' or '.', are one table:
rows-0.parquet, rows-1.parquet. Every other file is a table of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import pyarrow as pa
import pyarrow.csv as pacsv

from gconstruct.engines.arrow.peek import READ_ERRORS, csv_header, delimiter, open_csv, open_parquet, peek, unreadable
from gconstruct.guess.dialect import sniff
from gconstruct.inputs import InputFile, resolve
from gconstruct.problems import Problems
from graphstorm_like.config.graph import CsvOptions
from graphstorm_like.errors import DataError

PIECE_ROWS = 1 << 16
_CSV_BLOCK = 16 << 20
_RUNS = 16
_NUMBERED = re.compile(r"^(?P<stem>.*?)(?:^|[-_.])(?:part[-_]?)?\d+(?:[-_]of[-_]\d+)?$", re.IGNORECASE)
_PART = re.compile(r"^part[-_]", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """The files of one table. header: type by column, None for a CSV column."""

    name: str
    files: tuple[InputFile, ...]
    header: dict[str, pa.DataType | None]
    csv: CsvOptions

    def pieces(self, columns: Sequence[str], files: Sequence[InputFile] | None = None) -> Iterator[pa.Table]:
        """Rows of all files (or of some) in order, some 65,000 at a time; CSV columns as strings.

        Raises DataError when a file cannot be read.
        """
        for file in self.files if files is None else files:
            try:
                yield from _csv_pieces(file, self.csv, columns) if file.format == "csv" else _parquet(file, columns)
            except READ_ERRORS as error:
                raise DataError(unreadable(file, error)) from error

    def sample(self, rows: int) -> tuple[pa.Table, bool]:
        """At most `rows` rows from the beginning, end and middle, and whether they are all."""
        columns = list(self.header)
        share = max(rows // len(self.files), 1_000)
        parts, complete = [], True
        for file in self.files:
            part, whole = _sample_of(self, file, columns, share)
            parts.append(part)
            complete &= whole
        joined = pa.concat_tables(parts, promote_options="permissive")
        return joined, complete


def _sample_of(source: Source, file: InputFile, columns: Sequence[str], rows: int) -> tuple[pa.Table, bool]:
    if file.format == "parquet":
        try:
            with open_parquet(file) as parquet:
                return _sample_parquet(parquet, columns, rows)
        except READ_ERRORS as error:
            raise DataError(unreadable(file, error)) from error
    taken, count, more = [], 0, False
    for piece in source.pieces(columns, [file]):
        if count >= rows:
            more = True
            break
        taken.append(piece.slice(0, rows - count))
        more = more or piece.num_rows > rows - count
        count += taken[-1].num_rows
    empty = pa.table({name: pa.array([], pa.large_string()) for name in columns})
    return (pa.concat_tables(taken) if taken else empty), not more


def _sample_parquet(parquet: object, columns: Sequence[str], rows: int) -> tuple[pa.Table, bool]:
    """Whole row groups: the first, the last, then evenly spread ones, of each at most a share."""
    meta, read = parquet.metadata, parquet.read_row_group  # type: ignore[attr-defined]
    groups = meta.num_row_groups
    if meta.num_rows <= rows or groups == 0:
        return parquet.read(columns=list(columns)), True  # type: ignore[attr-defined]
    wanted = min(groups, 5)
    chosen = sorted({round(i * (groups - 1) / max(wanted - 1, 1)) for i in range(wanted)})
    share = rows // len(chosen)
    parts = []
    for group in chosen:
        parts.append(_spread(read(group, columns=list(columns)), share))
    return pa.concat_tables(parts), False


def _spread(table: pa.Table, rows: int) -> pa.Table:
    """Runs of rows from all over a table, `rows` in all: tables are often sorted."""
    if table.num_rows <= rows:
        return table
    run = max(rows // _RUNS, 1)
    step = (table.num_rows - run) / (_RUNS - 1)
    return pa.concat_tables([table.slice(round(i * step), run) for i in range(_RUNS)])


def _parquet(file: InputFile, columns: Sequence[str]) -> Iterator[pa.Table]:
    with open_parquet(file) as parquet:
        for batch in parquet.iter_batches(PIECE_ROWS, columns=list(columns)):
            yield pa.Table.from_batches([batch])


def _csv_pieces(file: InputFile, options: CsvOptions, columns: Sequence[str]) -> Iterator[pa.Table]:
    """As the construction reads CSV, block by block."""
    header = csv_header(file, options)
    with open_csv(file) as stream:
        try:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(column_names=options.header, block_size=_CSV_BLOCK),
                parse_options=pacsv.ParseOptions(
                    delimiter=delimiter(file, options), quote_char=options.quote, newlines_in_values=True
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=list(columns),
                    column_types=dict.fromkeys(header, pa.large_string()),
                    strings_can_be_null=True,
                    null_values=options.null_values,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error) or "cannot infer number of columns" in str(error):
                return  # a header alone
            raise
        for batch in reader:
            yield pa.Table.from_batches([batch])


def find_sources(paths: Sequence[str]) -> list[Source]:
    """The tables in files, globs and folders (and in folders of these), in order, each file once.

    Raises DataError that names every path without a table and every file that cannot be read.
    """
    problems = Problems()
    files: dict[str, InputFile] = {}
    for path in paths:
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
    groups: dict[tuple[object, ...], Source] = {}
    for file in files:
        if file.size == 0:
            problems.add(f"{file.path}: must hold a table (got an empty file, 0 bytes). Leave it out")
            continue
        try:
            options = sniff(file) if file.format == "csv" else CsvOptions()
        except READ_ERRORS as error:
            problems.add(unreadable(file, error))
            continue
        header = peek(file, options, problems)
        if not header:
            continue
        stem = _stem(file)
        key = (os.path.dirname(file.path), stem, file.format, tuple(header), options.delimiter, options.quote)
        earlier = groups.get(key)
        if earlier is None:
            groups[key] = Source(stem, (file,), header, options)
        else:
            groups[key] = Source(stem, (*earlier.files, file), header, options)
    return list(groups.values())


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
        named[name] = Source(name, source.files, source.header, source.csv)
    return list(named.values())
