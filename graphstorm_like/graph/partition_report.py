"""How a graph folder is spread over its partitions: nodes, edges, and local edges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.partition_reader import HiddenEdges, Partition
from graphstorm_like.graph.schema import SOURCE_COLUMN, read_manifest


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """Counts for each of P partitions. An edge lies in the partition of its target; it is local when its source lies
    there too. The edge cut is the share of edges that are not local."""

    nodes: dict[str, list[int]]
    """By node type [P]"""
    edges: dict[str, list[int]]
    """By 'source:relation:target' [P], reverses included"""
    local: dict[str, list[int]]
    """Local edges, by the same names [P]"""

    def local_share(self, name: str | None = None, partition: int | None = None) -> float:
        """Local edges as a share of the edges: of one type or all, of one partition or all. NaN without edges."""
        names = list(self.edges) if name is None else [name]
        partitions = slice(None) if partition is None else slice(partition, partition + 1)
        total = sum(sum(self.edges[n][partitions]) for n in names)
        local = sum(sum(self.local[n][partitions]) for n in names)
        return local / total if total else float("nan")


def partition_report(folder: str | Path) -> PartitionReport:
    """Count nodes and edges. Reads the sources of all edges, one file at a time. DataError when the folder is not a
    complete graph folder."""
    manifest = read_manifest(folder)
    report = PartitionReport({}, {}, {})
    for name in manifest.nodes:
        report.nodes[name] = []
    for name in manifest.edge_names():
        report.edges[name], report.local[name] = [], []
    for number, schema in enumerate(manifest.partitions):
        for node_type in manifest.nodes:
            start, stop = schema.node_ranges[node_type]
            report.nodes[node_type].append(stop - start)
        part = Partition(Path(folder), manifest, number, HiddenEdges({}, {}))
        for edge in manifest.edges:
            sources = part.column((edge.edge_type, SOURCE_COLUMN))
            start, stop = schema.node_ranges[edge.edge_type[0]]
            name = edge_name(edge.edge_type)
            report.edges[name].append(len(sources))
            report.local[name].append(int(np.count_nonzero((sources >= start) & (sources < stop))))
    return report
