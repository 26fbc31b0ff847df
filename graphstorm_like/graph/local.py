"""The local graph store: a graph folder, memory-mapped in this process. No server, no copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.partition_reader import HiddenEdges, Partition
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.store import ExcludedEdges
from graphstorm_like.graph.verify import verify_graph


class LocalGraph(PartitionedGraph):
    """All partitions of a graph folder on this machine. See PartitionedGraph for the rest.

    DataError names a file that differs from what was written: see verify_graph.
    """

    def __init__(
        self,
        folder: str | Path,
        hide: Collection[EdgeType] | Mapping[EdgeType, str | None] = (),
        held_out: ExcludedEdges | None = None,
        draw_by: str | None = None,
    ) -> None:
        path, manifest = Path(folder), read_manifest(folder)
        verify_graph(path, manifest)

        def open_parts(hidden: HiddenEdges) -> list[Partition]:
            return [Partition(path, manifest, p, hidden) for p in range(len(manifest.partitions))]

        super().__init__(path, manifest, hide, held_out, open_parts, draw_by)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sampler processes open the folder themselves instead of copying memory maps."""
        return (LocalGraph, (self.folder, self.hide, self.held_out, self.draw_by))
