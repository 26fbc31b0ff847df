"""A graph folder -> the same graph in another number of partitions, or in a single one.

Nodes are renumbered partition-major, in their old order within a partition; an edge goes with its target, and the edges
of one target keep their order. So the concatenation of the new partitions is the old folder, renumbered.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from gconstruct.assign import assign, check_method, method_plugins
from gconstruct.csc import position_dtype
from gconstruct.manifest import STITCH_REPORT, Construction, current_manifest, write_manifest
from gconstruct.opened import GraphFiles, Rows, edges_at_once
from gconstruct.partitioners.base import OpenedGraph
from gconstruct.problems import counted
from gconstruct.spill.budget import Memory, available_memory
from gconstruct.spill.columns import ColumnsWriter
from gconstruct.write import write_columns
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.explain import explain
from graphstorm_like.config.partitioners import PartitionsConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import file_hash, fsync_path, new_folder, recover_target
from graphstorm_like.graph.schema import (
    HARD_NEGATIVES_COLUMN,
    MANIFEST,
    SCHEMA_VERSION,
    SOURCE_COLUMN,
    TARGET_COLUMN,
    EdgeTypeSchema,
    GraphManifest,
    PartitionSchema,
    indptr_file,
    read_manifest,
)
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.hashing import hash_facts

PARTITION_VERSION = 1
"""To be raised when the same graph gives other partitions."""
Progress = Callable[[str], None]
_SCRATCH = "scratch"
"""Folder inside the new one for what a method needs while it works."""


def partition_graph(
    source: str | Path,
    target: str | Path,
    count: int,
    method: str = "random",
    seed: int | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
) -> GraphManifest:
    """Write the graph of the folder `source` into the folder `target`, in `count` partitions. Returns its manifest,
    and does nothing else when the target is up to date.

    The target appears complete or not at all. options: more keys of `graph.partitions`. Raises ConfigError for values
    that PartitionsConfig refuses; DataError when something else is at the target, or the source is not a graph folder;
    MissingExtraError when the method's package is not installed. `progress` gets plain lines.

    Memory: 8 bytes per node (16 for types of 2**31 nodes or more), and what the method takes before that; rows are
    written within `memory` bytes (default: half of what the machine has), and do not depend on it.
    """
    say = progress or (lambda _: None)
    started = time.perf_counter()
    seeded = {} if seed is None else {"seed": seed}
    config = _checked({"count": count, "method": method, **seeded, **(options or {})})
    origin, path = Path(source), _target(source, target)
    manifest = read_manifest(origin)
    mark = _fingerprint(origin, config)
    try:
        recover_target(path)
        current = current_manifest(path, mark, say)
        if current is not None:
            say(f"{path} is up to date")
            return current
        _check_free(path)
        check_method(config)
        verify_graph(origin, manifest)
        files = GraphFiles(origin, manifest.partitions)
        graph = Construction(manifest.nodes, manifest.edges, manifest.partitions, manifest.dropped)
        with new_folder(path) as folder:
            graph = write_partitions(files, graph, config, folder, say, memory)
            if (origin / STITCH_REPORT).is_file():
                shutil.copyfile(origin / STITCH_REPORT, folder / STITCH_REPORT)
                fsync_path(folder / STITCH_REPORT)
            manifest = write_manifest(folder, mark, graph)
    except OSError as err:
        raise DataError(
            f"{path}: the graph folder must be writable (got {err.strerror or err}: {err.filename or path}). "
            "Check the disk and its permissions, or name another target"
        ) from err
    say(f"{path}: {counted(config.count, 'partition')} ({time.perf_counter() - started:.1f} s)")
    return manifest


def write_partitions(
    files: GraphFiles,
    graph: Construction,
    config: PartitionsConfig,
    folder: Path,
    say: Progress,
    memory: int | None = None,
) -> Construction:
    """Write the partitions of an opened graph, which `graph` describes, into an empty folder; returns what was
    written. memory: see `partition_graph`."""
    num_nodes = sum(node.count for node in graph.nodes.values())
    num_edges = sum(edge.count for edge in graph.edges)
    say(
        f"partitioning {counted(num_nodes, 'node')} and {counted(num_edges, 'edge')} into {config.count} "
        f"({config.method})"
    )
    scratch = folder / _SCRATCH
    scratch.mkdir()
    assignment = assign(OpenedGraph(files, graph.nodes, graph.edges, scratch, say), config)
    files.forget()
    numbers = {node_type: _renumber(parts, config.count) for node_type, parts in assignment.items()}
    writer = _Writer(files, graph, numbers, folder, Memory.of(memory or available_memory() // 2, 1, 1).rows)
    writer.write()
    shutil.rmtree(scratch)
    say(f"{writer.local_share:.1%} of the edges have their source in their own partition")
    return Construction(graph.nodes, graph.edges, writer.partitions, graph.dropped)


class _Numbers(NamedTuple):
    """The renumbering of the n nodes of a type."""

    new: np.ndarray
    """int (n): new position by old one"""
    old: np.ndarray
    """int (n): old position by new one"""
    starts: list[int]
    """partitions + 1: where each begins, in new positions"""


def _renumber(parts: np.ndarray, count: int) -> _Numbers:
    kind = position_dtype(len(parts))
    old = np.argsort(parts, kind="stable").astype(kind)
    new = np.empty(len(parts), kind)
    new[old] = np.arange(len(parts), dtype=kind)
    return _Numbers(new, old, [0, *np.cumsum(np.bincount(parts, minlength=count)).tolist()])


class _Writer:
    """Writes file after file: each type, partition after partition."""

    def __init__(
        self,
        files: GraphFiles,
        graph: Construction,
        numbers: Mapping[str, _Numbers],
        folder: Path,
        memory: int,
    ) -> None:
        """memory: bytes of the old files that are read at one time, and of a new one before it goes to disk."""
        self._files, self._made, self._numbers, self._folder = files, graph, numbers, folder
        self._memory = memory
        self._names = graph.partitions[0]
        self._count = len(next(iter(numbers.values())).starts) - 1
        self._bytes = [0] * self._count
        self._edge_ranges: list[dict[str, tuple[int, int]]] = [{} for _ in range(self._count)]
        self._local = 0

    @property
    def partitions(self) -> list[PartitionSchema]:
        """What was written."""
        return [self._partition(p) for p in range(self._count)]

    def _partition(self, p: int) -> PartitionSchema:
        return PartitionSchema(
            folder=f"part-{p}",
            node_ranges={t: (numbers.starts[p], numbers.starts[p + 1]) for t, numbers in self._numbers.items()},
            edge_ranges=self._edge_ranges[p],
            node_files=self._names.node_files,
            edge_files=self._names.edge_files,
            bytes=self._bytes[p],
        )

    @property
    def local_share(self) -> float:
        """Share of the edges that have both ends in one partition; 1 when there are no edges."""
        total = sum(edge.count for edge in self._made.edges)
        return self._local / total if total else 1.0

    def write(self) -> None:
        """Write all files of all partitions."""
        for p in range(self._count):
            for sub in ("nodes", "edges"):
                (self._folder / f"part-{p}" / sub).mkdir(parents=True)
        for node_type in self._made.nodes:
            rows, numbers = self._files.nodes(node_type), self._numbers[node_type]
            self._check(len(rows), len(numbers.old), f"rows of {node_type}")
            most = self._rows_at_once(rows)
            for p in range(self._count):
                writer = self._new(p, self._names.node_files[node_type])
                start, stop = numbers.starts[p : p + 2]
                for at in range(start, max(stop, start + 1), most):
                    writer.append(rows.take(numbers.old[at : min(at + most, stop)]))
                    self._files.forget()
                self._bytes[p] += writer.finish()
        for edge in self._made.edges:
            self._write_edges(edge)

    def _write_edges(self, edge: EdgeTypeSchema) -> None:
        name = edge_name(edge.edge_type)
        rows, indptr = self._files.edges(edge.edge_type), self._files.indptr(edge.edge_type)
        sources, targets = self._numbers[edge.edge_type[0]], self._numbers[edge.edge_type[2]]
        self._check(len(indptr), len(targets.old) + 1, f"index pointers of {name}")
        self._check(len(rows), int(indptr[-1]), f"edges of {name}")
        written = 0
        for p in range(self._count):
            start, stop = targets.starts[p : p + 2]
            old = targets.old[start:stop].astype(np.int64)
            first, degree = indptr[old], indptr[old + 1] - indptr[old]
            file = self._names.edge_files[name]
            writer = self._new(p, file)
            # The edges of one target are contiguous already: no sort.
            for target, at in edges_at_once(first, degree, self._rows_at_once(rows)):
                columns = rows.take(at)
                kind = columns[SOURCE_COLUMN].dtype
                source = sources.new[columns[SOURCE_COLUMN]].astype(kind, copy=False)
                columns[SOURCE_COLUMN] = source
                if edge.hard_negatives:
                    negatives = columns[HARD_NEGATIVES_COLUMN]
                    numbered = np.where(negatives >= 0, targets.new[negatives], -1)
                    columns[HARD_NEGATIVES_COLUMN] = numbered.astype(negatives.dtype)
                columns[TARGET_COLUMN] = (start + target).astype(kind)
                writer.append(columns)
                self._local += int(np.count_nonzero((source >= sources.starts[p]) & (source < sources.starts[p + 1])))
                self._files.forget()
            count = len(writer)
            self._bytes[p] += writer.finish()
            pointers = np.concatenate([[0], np.cumsum(degree)])
            self._bytes[p] += write_columns(self._path(p, indptr_file(file)), {"indptr": pointers})
            self._edge_ranges[p][name] = (written, written + count)
            written += count

    def _rows_at_once(self, rows: Rows) -> int:
        """How many are read at one time: those of a partition may lie among those of all others."""
        return max(1, int(self._memory / (self._count * max(rows.row_bytes, 1))))

    def _path(self, p: int, file: str) -> Path:
        return self._folder / f"part-{p}" / file

    def _new(self, p: int, file: str) -> ColumnsWriter:
        return ColumnsWriter(self._path(p, file), self._folder / _SCRATCH / "columns", self._memory)

    def _check(self, actual: int, expected: int, what: str) -> None:
        if actual != expected:
            raise DataError(f"{self._files.folder}: must have {expected:,} {what} (got {actual:,}). Construct it again")


def _checked(values: dict[str, Any]) -> PartitionsConfig:
    try:
        return PartitionsConfig.model_validate(values)
    except ValidationError as err:
        problems = explain(PartitionsConfig, err, values)
        raise ConfigError(f"partitions.{'.'.join(map(str, path))}: {message}" for path, message in problems) from None


def _target(source: str | Path, target: str | Path) -> Path:
    path, origin = Path(target).absolute(), Path(source).resolve()
    resolved = path.resolve()
    if resolved.is_relative_to(origin) or origin.is_relative_to(resolved):
        raise ConfigError(
            f"{target}: the target must be neither in nor around the source {source}. Name another folder"
        )
    return resolved if path.is_symlink() else path  # replace what a link points to, not the link


def _fingerprint(source: Path, config: PartitionsConfig) -> str:
    content: dict[str, Any] = {
        "source": file_hash(source / MANIFEST),
        "partitions": config.model_dump(mode="json"),
        "versions": [SCHEMA_VERSION, PARTITION_VERSION],
    }
    if plugins := method_plugins(config):
        content["plugins"] = plugins
    return hash_facts(content)


def _check_free(path: Path) -> None:
    """Neither somebody else's folder nor a graph of other partitions is replaced."""
    if (path.is_dir() and not any(path.iterdir())) or not (path.exists() or path.is_symlink()):
        return
    raise DataError(
        f"{path}: the target must be an empty folder or not exist yet (got something that these partitions of this "
        "source are not). Remove it, or name another target"
    )
