"""Checks that the files of a graph folder hold what construction wrote: contents by hash, and the structure of edges.

A graph is checked when it is opened. Files that passed are remembered (see `files.check_files`), so that only the
first process that opens a folder reads all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from graphstorm_like.config.base import edge_name
from graphstorm_like.errors import DataError
from graphstorm_like.files import FileRecord, check_files
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    TARGET_COLUMN,
    EdgeTypeSchema,
    GraphManifest,
    PartitionSchema,
    indptr_file,
)
from graphstorm_like.mirror.manifest import held_elsewhere

_REMEDY = (
    "Make the graph folder again (gsl construct, or the command that made it), or copy it again from an intact one"
)


def verify_graph(folder: Path, manifest: GraphManifest, partitions: Iterable[int] | None = None) -> None:
    """Raise DataError, which names the file, unless all files of some partitions (None: all) are as they were written.

    Sizes, times and inodes are compared each time; contents and structure are read once, about a second per GB and
    core.
    Files that a copy of a graph in a store has left there are not looked at.
    Structure: source and target ids are nodes, index pointers ascend from 0 to the number of edges.
    """
    records: dict[str, FileRecord] = {}
    checks: dict[str, Callable[[], None]] = {}
    numbers = range(len(manifest.partitions)) if partitions is None else partitions
    for number in numbers:
        schema = manifest.partitions[number]
        for file in schema.node_files.values():
            _add(records, manifest, f"{schema.folder}/{file}")
        for edge in manifest.edges:
            file = schema.edge_files[edge_name(edge.edge_type)]
            check = partial(_check_edges, folder, manifest, schema, edge)
            for name in (f"{schema.folder}/{file}", f"{schema.folder}/{indptr_file(file)}"):
                _add(records, manifest, name)
                checks[name] = check
    for name in held_elsewhere(folder, {name: record[3] for name, record in records.items()}):
        del records[name]
    checked: set[Callable[[], None]] = set()

    def check_structure(name: str) -> None:
        check = checks.get(name)
        if check is not None and check not in checked:
            checked.add(check)
            check()

    check_files(folder, records, _REMEDY, check_structure)


def _add(records: dict[str, FileRecord], manifest: GraphManifest, name: str) -> None:
    records[name] = [None, None, None, manifest.hashes.get(name)]


def _check_edges(folder: Path, manifest: GraphManifest, schema: PartitionSchema, edge: EdgeTypeSchema) -> None:
    """One edge type of one partition."""
    import pyarrow as pa
    import pyarrow.compute as pc

    source_type, _, target_type = edge.edge_type
    path = folder / schema.folder / schema.edge_files[edge_name(edge.edge_type)]
    pointers_path = path.with_name(indptr_file(path.name))
    edges, pointers = _open(path), _open(pointers_path).column(0)
    first, last = schema.node_ranges[target_type]
    ranges = {SOURCE_COLUMN: (0, manifest.node(source_type).count), TARGET_COLUMN: (first, last)}
    for name, (low, high) in ranges.items():
        column = edges.column(name)
        limits = pc.min_max(column).as_py()
        if column.null_count or (len(column) and not (low <= limits["min"] and limits["max"] < high)):
            raise DataError(
                f"{path}: column {name} must hold nodes {low:,} to {high - 1:,} only (got {limits['min']} to "
                f"{limits['max']}, {column.null_count} nulls). {_REMEDY}"
            )
    sizes = pc.subtract(pointers.slice(1), pointers.slice(0, max(len(pointers) - 1, 0)))
    is_complete = len(pointers) == last - first + 1 and pointers.null_count == 0 and pa.types.is_int64(pointers.type)
    if not is_complete or not (
        pointers[0].as_py() == 0 and pointers[-1].as_py() == len(edges) and (pc.min(sizes).as_py() or 0) >= 0
    ):
        raise DataError(
            f"{pointers_path}: must hold {last - first + 1:,} ascending numbers from 0 to {len(edges):,}, where each "
            f"target's edges start. {_REMEDY}"
        )


def _open(path: Path) -> Any:
    import pyarrow as pa

    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        return reader.get_batch(0)
    except (OSError, pa.ArrowInvalid, IndexError) as err:
        raise DataError(f"{path}: must be an Arrow file as `gsl construct` writes it ({err}). {_REMEDY}") from None
