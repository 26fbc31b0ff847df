"""ORC: pieces are stripes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa

from gconstruct.inputs import InputFile
from gconstruct.readers.base import Header, Piece, Reader, ends_of, gather, not_open, reason_of, register, seekable
from graphstorm_like.config.rows import CsvOptions

_MAGIC = b"ORC"


@register("orc")
class OrcReader(Reader):
    """Reads a stripe at a time."""

    def header(self, file: InputFile, options: CsvOptions, needed: Collection[str]) -> Header:
        """From the footer; to count the rows of several stripes one column is read."""
        import pyarrow.orc as orc

        with seekable(file) as stream:
            source = orc.ORCFile(stream)
            columns = tuple((field.name, field.type) for field in source.schema)
            if source.nstripes <= 1 or not columns:
                return Header(columns, (Piece(0, source.nrows, (0, source.nstripes)),))
            first = columns[0][0]
            rows = (source.read_stripe(i, [first]).num_rows for i in range(source.nstripes))
            bytes_each = source.content_length // source.nstripes
            return Header(columns, gather((count, bytes_each) for count in rows))

    def batches(
        self, file: InputFile, piece: Piece, columns: Mapping[str, pa.DataType], options: CsvOptions
    ) -> Iterator[pa.RecordBatch]:
        """A stripe is about 64 MB."""
        import pyarrow.orc as orc

        names = list(columns)
        with seekable(file) as stream:
            source = orc.ORCFile(stream)
            for i in range(*piece.units):
                yield source.read_stripe(i, names).select(names)

    def explain(self, file: InputFile, error: BaseException, options: CsvOptions) -> str:
        """Whether it is ORC at all."""
        if (told := not_open(file, error)) is not None:
            return told
        head, _ = ends_of(file, 1)
        if not head.startswith(_MAGIC):
            fix = "If it has another format, rename it or set format"
            return f"{file.path}: must be an ORC file (got one that starts with {head!r}). {fix}"
        finding = f"got: {reason_of(error)}"
        return f"{file.path}: must be a whole ORC file ({finding}). It was cut off or damaged: write it again"
