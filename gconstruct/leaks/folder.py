"""Reads what the leak guard needs of a graph folder: some rows or blocks of single columns, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.leaks.base import BLOCK, HELD_OUT, SHOWN
from gconstruct.opened import open_file
from gconstruct.problems import shown
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.schema import ID_COLUMN, SOURCE_COLUMN, TARGET_COLUMN, indptr_file, read_manifest

_EDGES_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Different pairs of nodes with validation or test edges, or a sample of them."""

    source: np.ndarray
    """int64 (pairs), like `target`"""
    target: np.ndarray
    edges: int
    """Edges that were looked at"""
    total: int
    """Validation and test edges"""

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True)
class Matches:
    """Edges of one partition that connect some of the pairs that were asked for."""

    file: pa.RecordBatch
    pairs: np.ndarray
    """int64 (m): which pair"""
    rows: np.ndarray
    """int64 (m): the row in `file`"""


class LeakFolder:
    """A graph folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, read_manifest(folder)

    def node_files(self, node_type: str) -> list[pa.RecordBatch]:
        """One per partition."""
        parts = self.manifest.partitions
        return [open_file(self.folder / part.folder / part.node_files[node_type]) for part in parts]

    def edge_files(self, edge_type: EdgeType) -> list[pa.RecordBatch]:
        """One per partition."""
        name = edge_name(edge_type)
        return [open_file(self.folder / part.folder / part.edge_files[name]) for part in self.manifest.partitions]

    def held_out(self, edge_type: EdgeType, column: str, most: int) -> HeldOut:
        """Pairs of at most `most` validation and test edges by a split column, evenly spaced."""
        files = self.edge_files(edge_type)
        rows = [np.flatnonzero(np.isin(file.column(column).to_numpy(), HELD_OUT)) for file in files]
        total = sum(map(len, rows))
        step = max(1, -(-total // most))
        sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for file, of_file in zip(files, rows, strict=True):
            chosen = of_file[::step]
            sources.append(file.column(SOURCE_COLUMN).to_numpy()[chosen].astype(np.int64))
            targets.append(file.column(TARGET_COLUMN).to_numpy()[chosen].astype(np.int64))
        pairs = np.stack([np.concatenate(targets), np.concatenate(sources)])
        different = np.unique(pairs, axis=1)
        return HeldOut(different[1], different[0], pairs.shape[1], total)

    def matches(self, edge_type: EdgeType, source: np.ndarray, target: np.ndarray) -> Iterator[Matches]:
        """All edges between these pairs of nodes [pairs]. Reads all edges into their targets, some at a time."""
        num_sources = self.manifest.node(edge_type[0]).count
        keys = target * num_sources + source
        order = np.argsort(keys)
        ordered = keys[order]
        name = edge_name(edge_type)
        for part, file in zip(self.manifest.partitions, self.edge_files(edge_type), strict=True):
            start, stop = part.node_ranges[edge_type[2]]
            pointers = open_file(self.folder / part.folder / indptr_file(part.edge_files[name])).column(0).to_numpy()
            targets = np.unique(target[(target >= start) & (target < stop)])
            sources = file.column(SOURCE_COLUMN).to_numpy()
            for some in _some_at_a_time(targets, pointers[targets - start + 1] - pointers[targets - start]):
                first, degree = pointers[some - start], pointers[some - start + 1] - pointers[some - start]
                ends = np.cumsum(degree)
                rows = np.repeat(first - ends + degree, degree) + np.arange(int(degree.sum()))
                found = np.repeat(some, degree) * num_sources + sources[rows].astype(np.int64)
                places = np.minimum(np.searchsorted(ordered, found), max(len(ordered) - 1, 0))
                hit = ordered[places] == found
                yield Matches(file, order[places[hit]], rows[hit])

    def ids(self, node_type: str, nodes: np.ndarray | Sequence[int]) -> list[str]:
        """The user's own ids of a few nodes, as messages show them."""
        files, out = self.node_files(node_type), []
        starts = [part.node_ranges[node_type][0] for part in self.manifest.partitions]
        for node in nodes:
            part = int(np.searchsorted(starts, node, side="right")) - 1
            out.append(shown(files[part].column(ID_COLUMN)[int(node) - starts[part]].as_py()))
        return out

    def pair_examples(self, edge_type: EdgeType, source: np.ndarray, target: np.ndarray) -> tuple[str, ...]:
        """The first pairs of these, with the user's own ids."""
        sources, targets = self.ids(edge_type[0], source[:SHOWN]), self.ids(edge_type[2], target[:SHOWN])
        return tuple(f"{start} -> {end}" for start, end in zip(sources, targets, strict=True))


def blocks(file: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A file's rows, some at a time."""
    for start in range(0, file.num_rows, BLOCK):
        yield file.slice(start, BLOCK)


def _some_at_a_time(targets: np.ndarray, degrees: np.ndarray) -> list[np.ndarray]:
    """Targets in groups that have about as many edges as may be in memory."""
    groups = np.cumsum(degrees) // _EDGES_AT_ONCE
    return np.split(targets, np.flatnonzero(np.diff(groups)) + 1) if len(targets) else []
