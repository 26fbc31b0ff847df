"""One table in every format, and tables as plans read them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet

from gconstruct.problems import Problems
from gconstruct.tables.plan import TablePlan, plan_tables

from ..tables import graph


def _ipc_file(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


def _ipc_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


def json_lines(rows: list[Any]) -> bytes:
    """One line a row."""
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _csv_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def _compressed(content: Callable[[pa.Table], bytes], how: Callable[[bytes], bytes]) -> Callable[[pa.Table, Path], Any]:
    return lambda table, path: path.write_bytes(how(content(table)))


def _zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


def _lines(table: pa.Table) -> bytes:
    return json_lines(table.to_pylist())


WRITERS: dict[str, Callable[[pa.Table, Path], Any]] = {
    ".parquet": lambda table, path: pa.parquet.write_table(table, path, row_group_size=700),
    ".pq": pa.parquet.write_table,
    ".arrow": _ipc_file,
    ".ipc": _ipc_file,
    ".arrows": _ipc_stream,
    ".feather": lambda table, path: pa.feather.write_feather(table, str(path), compression="zstd"),
    ".orc": lambda table, path: pa.orc.write_table(table, str(path), stripe_size=10_000),
    ".csv": _compressed(_csv_bytes, bytes),
    ".csv.gz": _compressed(_csv_bytes, gzip.compress),
    ".csv.zst": _compressed(_csv_bytes, _zstd),
    ".jsonl": _compressed(_lines, bytes),
    ".ndjson": _compressed(_lines, bytes),
    ".json": _compressed(_lines, bytes),
    ".json.gz": _compressed(_lines, gzip.compress),
    ".jsonl.gz": _compressed(_lines, gzip.compress),
    ".jsonl.zst": _compressed(_lines, _zstd),
    ".ndjson.zst": _compressed(_lines, _zstd),
}
"""How to write a table, by the ending of the file's name"""


def write_as(path: Path, **columns: Any) -> Path:
    """A table in the format of the path's ending."""
    ending = max((ending for ending in WRITERS if path.name.endswith(ending)), key=len)
    WRITERS[ending](pa.table(columns), path)
    return path


def plan_of(folder: Path, problems: Problems | None = None, **node: Any) -> TablePlan:
    """The plan of one node table, whose id column is `id`."""
    nodes, _ = plan_tables(graph(folder, {"item": {"id": "id", **node}}), problems or Problems())
    return nodes["item"]
