"""Arrow IPC files and streams; Feather files are the former. Pieces of a file are record batches, a stream is one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from gconstruct.inputs import InputFile
from gconstruct.readers.base import Header, Piece, Reader, ends_of, gather, not_open, reason_of, register, seekable
from graphstorm_like.config.rows import CsvOptions

_MAGIC, _OLD_FEATHER = b"ARROW1", b"FEA1"


@register("arrow")
class ArrowReader(Reader):
    """Reads record batches. Local files are mapped into memory, not copied."""

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From the schema; to count the rows of a file's batches one column is read."""
        with _mapped(file) as source:
            if not _is_file(source):
                return Header(_columns(pa.ipc.open_stream(source).schema), (Piece(),))
            reader = pa.ipc.open_file(source)
            columns, batches = _columns(reader.schema), reader.num_record_batches
            if batches <= 1:
                return Header(columns, (Piece(0, None, (0, batches)),))
            narrow = pa.ipc.IpcReadOptions(included_fields=[_narrowest(reader.schema)])
            source.seek(0)
            counter = pa.ipc.open_file(source, options=narrow)
            bytes_each = file.size // batches
            return Header(columns, gather((counter.get_batch(i).num_rows, bytes_each) for i in range(batches)))

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch]:
        """As they are stored, once it is known that no offset leads out of its buffer."""
        names = list(columns)
        with _mapped(file) as source:
            if _is_file(source):
                reader = pa.ipc.open_file(source)
                stored = (reader.get_batch(i) for i in range(*piece.units))
            else:
                stored = iter(pa.ipc.open_stream(source))
            for batch in stored:
                yield _checked(batch.select(names))

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """Whether it is an Arrow file at all."""
        if (told := not_open(file, error)) is not None:
            return told
        head, tail = ends_of(file, len(_MAGIC))
        if head.startswith(_OLD_FEATHER):
            return f"{file.path}: must be Feather version 2 (got version 1). Write it again with a recent pyarrow"
        if head.startswith(_MAGIC) and tail != _MAGIC:
            finding = "got one without a footer"
        elif not head.startswith((_MAGIC, b"\xff\xff\xff\xff")):
            fix = "If it has another format, rename it or set format"
            return f"{file.path}: must be an Arrow IPC file or stream (got one that starts with {head!r}). {fix}"
        else:
            finding = f"got: {reason_of(error)}"
        return f"{file.path}: must be a whole Arrow file ({finding}). It was cut off or damaged: write it again"


@contextmanager
def _mapped(file: InputFile) -> Iterator[pa.NativeFile]:
    if file.is_local:
        with pa.memory_map(file.path) as source:
            yield source
    else:
        with seekable(file) as stream:
            yield pa.PythonFile(stream, mode="r")


def _is_file(source: pa.NativeFile) -> bool:
    head = source.read(len(_MAGIC))
    source.seek(0)
    return bool(head == _MAGIC)


def _columns(schema: pa.Schema) -> tuple[tuple[str, pa.DataType | None], ...]:
    return tuple((field.name, field.type) for field in schema)


def _narrowest(schema: pa.Schema) -> int:
    """A column of few bytes per row."""
    widths = [_bits(field.type) for field in schema]
    return widths.index(min(widths))


def _bits(data_type: pa.DataType) -> int:
    try:
        return int(data_type.bit_width)
    except ValueError:  # its values differ in size
        return 1 << 20


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, with bytes instead of strings: whether these are UTF-8 is asked later, by row."""
    batch.validate()
    columns = [column.cast(_bytes_type(column.type)) for column in batch.columns]
    checked = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    checked.validate(full=True)
    return checked


def _bytes_type(data_type: pa.DataType) -> pa.DataType:
    """Bytes of the same width as the strings, so that no value is copied."""
    t = pa.types
    if t.is_string(data_type):
        return pa.binary()
    if t.is_large_string(data_type):
        return pa.large_binary()
    if t.is_string_view(data_type):
        return pa.binary_view()
    if t.is_list(data_type):
        return pa.list_(_bytes_type(data_type.value_type))
    if t.is_large_list(data_type):
        return pa.large_list(_bytes_type(data_type.value_type))
    return data_type
