"""Vectors for PostgreSQL with pgvector: Parquet files, and the statements for table and index.

<target>/part-*.parquet   id; embedding, a list of float32
<target>/load.sql         the table, and an index by cosine distance
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.files import check_target, fsync_path, new_folder, recover_target
from graphstorm_like.search.vectors import Exported

LOAD = "load.sql"
MAX_INDEXED = 2_000
"""Dimensions that pgvector indexes in float32; wider vectors are indexed as halfvec."""


def write_pgvector(exported: Exported, target: Path) -> str:
    """Write the folder `target`. Returns what to do with it."""
    recover_target(target)
    check_target(target, "-o", "pgvector export", LOAD)
    name = exported.name.replace("/", "_").replace('"', "")
    with new_folder(target) as folder:
        width, id_type = 0, pa.string()
        for i, table in enumerate(exported.tables()):
            vectors = table.column(1).combine_chunks()
            width, id_type = vectors.type.list_size, table.schema.field("id").type
            lists = vectors.cast(pa.list_(pa.float32()))
            path = folder / f"part-{i:05d}.parquet"
            pq.write_table(pa.table({"id": table["id"], "embedding": lists}), path, compression="zstd")
            fsync_path(path)
        (folder / LOAD).write_text(_statements(name, width, id_type), encoding="utf-8")
        fsync_path(folder / LOAD)
    return f"see {target / LOAD}"


def _statements(name: str, width: int, id_type: pa.DataType) -> str:
    """SQL: the table, loading, the index."""
    id_column = "bigint" if pa.types.is_integer(id_type) else "text"
    fits = width <= MAX_INDEXED
    operators = "vector_cosine_ops" if fits else "halfvec_cosine_ops"
    indexed = "embedding" if fits else f"(embedding::halfvec({width}))"
    return (
        f"CREATE EXTENSION IF NOT EXISTS vector;\n"
        f'CREATE TABLE "{name}" (id {id_column} PRIMARY KEY, embedding vector({width}));\n'
        f"-- Copy the rows of the Parquet files with any client: pgvector takes an embedding as text, '[0.1, 0.2]',\n"
        f"-- and as real[] with a cast, embedding::vector. docs/guide/search.md has ten lines of Python that do it.\n"
        f"-- The index last: building it over rows that are there is faster.\n"
        f'CREATE INDEX ON "{name}" USING hnsw ({indexed} {operators});\n'
    )
