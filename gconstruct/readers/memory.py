"""Tables that are in memory already."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa

from gconstruct.inputs import InputFile
from gconstruct.readers.base import Header, Piece, Reader, reason_of, register
from graphstorm_like.config.rows import CsvOptions

_ROWS = 1 << 16


@register("memory")
class MemoryReader(Reader):
    """Nothing is copied."""

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From the schema."""
        table: pa.Table = file.source
        return Header(tuple((field.name, field.type) for field in table.schema), (Piece(0, table.num_rows),))

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch]:
        """As the table is chunked."""
        yield from file.source.select(list(columns)).to_batches(max_chunksize=_ROWS)

    def read(
        self, file: InputFile, pieces: Sequence[Piece], columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> pa.Table:
        """The table."""
        return file.source.select(list(columns))

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """Of a table that breaks Arrow's own rules."""
        return f"{file.path}: must be a valid Arrow table (got: {reason_of(error)}). Make it again"
