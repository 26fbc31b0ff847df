"""JSON lines: one object a line; keys that a line lacks are null.

Types are those of the first block of lines; the search goes on for columns that hold only nulls there. JSON has no
dates and one kind of number: dates stay strings, and the plan reads whole numbers as float64 where a number is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa
import pyarrow.json as pajson

from gconstruct.inputs import InputFile
from gconstruct.kinds import kind_of, merge_types
from gconstruct.problems import shown
from gconstruct.readers.base import Header, Piece, Reader, UnreadableError, not_open, reason_of, register
from gconstruct.readers.compression import not_compressed, open_text
from graphstorm_like.config.rows import CsvOptions

_BLOCK = 16 << 20
_BOM = b"\xef\xbb\xbf"


@register("jsonl")
class JsonLinesReader(Reader):
    """Reads a file from its start, 16 MB of whole lines at a time; a line may be longer."""

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From the first block, and as many others as it takes to see a value of every needed column."""
        types: dict[str, pa.DataType] = {}
        row = 0
        for block in _blocks(file):
            table = _parse(file, block, row, {})
            row += table.num_rows
            for field in table.schema:
                found = _without_dates(field.type)
                types[field.name] = found if field.name not in types else _merged(types[field.name], found)
            if all(_is_known(types.get(name)) for name in needed):
                break
        return Header(tuple(types.items()), (Piece(),), guessed=True)

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch | pa.Table]:
        """A block at a time."""
        row = 0
        for block in _blocks(file):
            table = _parse(file, block, row, columns)
            row += table.num_rows
            yield table.select(list(columns))

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """Whether it is compressed as its name says."""
        told = not_open(file, error) or not_compressed(file)
        return told or f"{file.path}: must be readable as JSON lines (got: {reason_of(error)}). Check that it is whole"


def _blocks(file: InputFile) -> Iterator[bytes]:
    """About _BLOCK bytes of whole lines."""
    with open_text(file) as stream:
        rest = b""
        is_first = True
        while chunk := stream.read(_BLOCK):
            if is_first:
                chunk, is_first = chunk.removeprefix(_BOM), False
            cut = chunk.rfind(b"\n") + 1
            if not cut:
                rest += chunk
                continue
            block, rest = rest + chunk[:cut], chunk[cut:]
            if block.strip():
                yield block
        if rest.strip():
            yield rest


def _parse(file: InputFile, block: bytes, row: int, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """One block; all columns of it when none is named. row: rows of the file before it."""
    schema = pa.schema([(name, _json_type(data_type)) for name, data_type in columns.items()]) if columns else None
    try:
        return pajson.read_json(
            pa.BufferReader(block),
            read_options=pajson.ReadOptions(block_size=len(block) + 1),
            parse_options=pajson.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore" if columns else "infer"
            ),
        )
    except (pa.ArrowException, ValueError) as err:
        raise UnreadableError(_explained(file, block, row, columns, err)) from err


def _json_type(data_type: pa.DataType) -> pa.DataType:
    """The type that pyarrow's JSON parser knows, for one that a column is cast to."""
    if kind_of(data_type).startswith("list of "):
        return pa.list_(_json_type(data_type.value_type))
    known = {"integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_(), "null": pa.null()}
    return known.get(kind_of(data_type), pa.large_string())


def _without_dates(data_type: pa.DataType) -> pa.DataType:
    """Strings that look like dates are strings."""
    if pa.types.is_list(data_type):
        return pa.list_(_without_dates(data_type.value_type))
    return pa.string() if kind_of(data_type) in ("time", "string") else data_type


def _merged(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Types of two blocks; those that do not fit are found when the column is read."""
    if pa.types.is_null(first) or pa.types.is_null(second):
        return second if pa.types.is_null(first) else first
    merged = merge_types([first, second])
    return first if merged is None else merged


def _is_known(data_type: pa.DataType | None) -> bool:
    return data_type is not None and not kind_of(data_type).endswith("null")


_DESCRIBED = {"integer": "whole numbers", "float": "numbers", "boolean": "true or false", "string": "strings"}


def _explained(
    file: InputFile, block: bytes, row: int, columns: Mapping[str, pa.DataType], error: BaseException
) -> str:
    """The first line of a block that is to blame; read again by Python, for exact row numbers."""
    kinds = {name: kind_of(_json_type(data_type)) for name, data_type in columns.items()}
    for line in block.splitlines():
        if not line.strip():
            continue
        row += 1
        where = f"{file.path} row {row:,}"
        try:
            value = json.loads(line)
        except ValueError as err:
            got = f"got {shown(line[:60].decode(errors='replace'))}: {reason_of(err)}"
            return f"{where}: a line must be a JSON object ({got}). Correct the line, or write the file again"
        if not isinstance(value, dict):
            return f"{where}: a line must be a JSON object (got {shown(value)}). Write one object a line"
        for name, item in value.items():
            if not columns:
                kinds.setdefault(name, _kind_of_value(item) or "null")
                kinds[name] = _kind_of_value(item) or "null" if kinds[name] == "null" else kinds[name]
            if name in kinds and not _fits(item, kinds[name]):
                rule = f"column {name!r} must hold {_described(kinds[name])}"
                return f"{where}: {rule}, as the first rows do (got {shown(item)}). Correct the value"
    return f"{file.path}: must be readable as JSON lines (got: {reason_of(error)}). Check that it is whole"


def _described(kind: str) -> str:
    if kind.startswith("list of "):
        return f"lists of {_described(kind.removeprefix('list of '))}"
    return _DESCRIBED.get(kind, f"values of kind {kind}")


def _kind_of_value(value: object) -> str | None:
    """The kind of a JSON value, in words of kinds.kind_of; None for null."""
    if isinstance(value, list):
        inner = next((kind for item in value if (kind := _kind_of_value(item)) is not None), "null")
        return f"list of {inner}"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "float"
    if value is None:
        return None
    return "string" if isinstance(value, str) else "other"


def _fits(value: object, kind: str) -> bool:
    if value is None:
        return True
    if kind.startswith("list of "):
        inner = kind.removeprefix("list of ")
        return isinstance(value, list) and all(_fits(item, inner) for item in value)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return kind == "null" or _kind_of_value(value) == kind
