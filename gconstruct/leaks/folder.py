"""Reads what the leak guard needs of a graph folder: some rows or blocks of single columns, memory-mapped and then
forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.leaks.base import BLOCK, HELD_OUT, SHOWN
from gconstruct.opened import OpenFiles, edges_at_once
from gconstruct.problems import shown
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.schema import ID_COLUMN, SOURCE_COLUMN, TARGET_COLUMN, indptr_file, read_manifest

_EDGES_AT_ONCE = 1 << 20
_BLOCK_BYTES = 16 << 20


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
        self._opened = OpenFiles()

    def node_files(self, node_type: str) -> list[pa.RecordBatch]:
        """One per partition."""
        parts = self.manifest.partitions
        return [self._opened.open(self.folder / part.folder / part.node_files[node_type]) for part in parts]

    def edge_files(self, edge_type: EdgeType) -> list[pa.RecordBatch]:
        """One per partition."""
        name, parts = edge_name(edge_type), self.manifest.partitions
        return [self._opened.open(self.folder / part.folder / part.edge_files[name]) for part in parts]

    def blocks(self, file: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """A file's rows, some at a time."""
        most = min(BLOCK, max(1, _BLOCK_BYTES * file.num_rows // max(file.nbytes, 1)))
        for start in range(0, file.num_rows, most):
            block = file.slice(start, most)
            yield block
            self._opened.was_read(block.nbytes)

    def held_out(self, edge_type: EdgeType, column: str, most: int) -> HeldOut:
        """Pairs of at most `most` validation and test edges by a split column, evenly spaced."""
        files = self.edge_files(edge_type)
        total = sum(int(is_held_out.sum()) for file in files for _, is_held_out in self._held_out(file, column))
        step = max(1, -(-total // most))
        sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for file in files:
            seen = 0
            for block, is_held_out in self._held_out(file, column):
                rows = np.flatnonzero(is_held_out)
                chosen = rows[-seen % step :: step]
                seen += len(rows)
                sources.append(block.column(SOURCE_COLUMN).to_numpy()[chosen].astype(np.int64))
                targets.append(block.column(TARGET_COLUMN).to_numpy()[chosen].astype(np.int64))
        pairs = np.stack([np.concatenate(targets), np.concatenate(sources)])
        different = np.unique(pairs, axis=1)
        return HeldOut(different[1], different[0], pairs.shape[1], total)

    def _held_out(self, file: pa.RecordBatch, column: str) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """(edges, bool (edges): which are in the validation or test split), some at a time."""
        for block in self.blocks(file.select([column, SOURCE_COLUMN, TARGET_COLUMN])):
            yield block, np.isin(block.column(column).to_numpy(), HELD_OUT)

    def edge_ends(self, edge_type: EdgeType) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(sources, targets) int64 of all edges, some at a time."""
        for file in self.edge_files(edge_type):
            for block in self.blocks(file.select([SOURCE_COLUMN, TARGET_COLUMN])):
                source, target = (block.column(name).to_numpy() for name in (SOURCE_COLUMN, TARGET_COLUMN))
                yield source.astype(np.int64), target.astype(np.int64)

    def matches(self, edge_type: EdgeType, source: np.ndarray, target: np.ndarray) -> Iterator[Matches]:
        """All edges between these pairs of nodes [pairs]. Reads all edges into their targets, some at a time."""
        num_sources = self.manifest.node(edge_type[0]).count
        keys = target * num_sources + source
        order = np.argsort(keys)
        ordered = keys[order]
        name = edge_name(edge_type)
        for part, file in zip(self.manifest.partitions, self.edge_files(edge_type), strict=True):
            start, stop = part.node_ranges[edge_type[2]]
            indptr = self.folder / part.folder / indptr_file(part.edge_files[name])
            pointers = self._opened.open(indptr).column(0).to_numpy()
            targets = np.unique(target[(target >= start) & (target < stop)])
            sources = file.column(SOURCE_COLUMN).to_numpy()
            first, degree = pointers[targets - start], pointers[targets - start + 1] - pointers[targets - start]
            for which, rows in edges_at_once(first, degree, _EDGES_AT_ONCE):
                found = targets[which] * num_sources + sources[rows].astype(np.int64)
                places = np.minimum(np.searchsorted(ordered, found), max(len(ordered) - 1, 0))
                hit = ordered[places] == found
                if hit.any():
                    yield Matches(file, order[places[hit]], rows[hit])
                self._opened.forget()

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
