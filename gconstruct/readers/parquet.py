"""Parquet: pieces are row groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from gconstruct.inputs import InputFile
from gconstruct.readers.base import (
    Header,
    Piece,
    Reader,
    ends_of,
    gather,
    not_open,
    reason_of,
    register,
    rows_of_batches,
    seekable,
)
from graphstorm_like.config.rows import CsvOptions

_MAGIC = b"PAR1"


@register("parquet")
class ParquetReader(Reader):
    """Reads row groups, a few thousand rows at a time."""

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From the footer."""
        with seekable(file) as stream, pq.ParquetFile(stream) as parquet:
            groups = [parquet.metadata.row_group(i) for i in range(parquet.num_row_groups)]
            columns = tuple((field.name, field.type) for field in parquet.schema_arrow)
            return Header(columns, gather((group.num_rows, group.total_byte_size) for group in groups))

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch]:
        """A row group's columns are in memory as they are stored, their values a batch at a time."""
        names = list(columns)
        with seekable(file) as stream, pq.ParquetFile(stream) as parquet:
            for i in range(*piece.units):
                group = parquet.metadata.row_group(i)
                rows = rows_of_batches(group.num_rows, group.total_byte_size)
                for batch in parquet.iter_batches(rows, [i], names):
                    yield batch.select(names)

    def read(
        self, file: InputFile, pieces: Sequence[Piece], columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> pa.Table:
        """With as many threads as there are columns."""
        names = list(columns)
        with seekable(file) as stream, pq.ParquetFile(stream) as parquet:
            return parquet.read(columns=names).select(names)

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """Whether it is Parquet at all, and whether its end is there."""
        if (told := not_open(file, error)) is not None:
            return told
        head, tail = ends_of(file, len(_MAGIC))
        if not head.startswith(_MAGIC):
            fix = "If it is CSV, rename it or set format: csv"
            return f"{file.path}: must be a Parquet file (got one that starts with {head!r}). {fix}"
        finding = f"got: {reason_of(error)}" if tail == _MAGIC else "got one without a footer"
        return f"{file.path}: must be a whole Parquet file ({finding}). It was cut off or damaged: write it again"
