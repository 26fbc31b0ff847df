"""Vectors as a Lance dataset. In a folder of such datasets, LanceDB sees a database: `lancedb.connect(folder)`.

Columns: id; vector, a fixed-size list of float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from graphstorm_like.errors import DataError, MissingExtraError
from graphstorm_like.files import new_folder, recover_target
from graphstorm_like.search.vectors import Exported


def write_lance(exported: Exported, target: Path) -> str:
    """Write the dataset `target`, whose name must end in .lance. Returns how to open it."""
    try:
        import lance
    except ImportError:
        raise MissingExtraError("export to Lance", "pylance", "lance") from None
    if target.suffix != ".lance":
        raise DataError(f"{target}: the dataset's name must end in .lance (got '{target.name}')")
    recover_target(target)
    if target.exists() and not (target / "_versions").is_dir():
        raise DataError(f"{target}: must be a Lance dataset or not exist yet (got something else there)")
    tables = _tables(exported)
    first = next(tables)
    with new_folder(target) as folder:
        reader = pa.RecordBatchReader.from_batches(first.schema, _batches(first, tables))
        lance.write_dataset(reader, str(folder))
    return f"lancedb.connect({str(target.parent)!r}).open_table({target.stem!r}), or lance.dataset({str(target)!r})"


def _tables(exported: Exported) -> Iterator[pa.Table]:
    """Shards with the columns id and vector."""
    for table in exported.tables():
        yield table.rename_columns(["id", "vector"])


def _batches(first: pa.Table, others: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches(max_chunksize=65_536)
    for table in others:
        yield from table.to_batches(max_chunksize=65_536)
