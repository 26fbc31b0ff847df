"""How a graph folder is spread over its partitions: nodes, edges, and edges that stay within one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.partition_reader import HiddenEdges, Partition
from graphstorm_like.graph.schema import SOURCE_COLUMN, read_manifest


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """Numbers by partition, P in all. An edge is local when its source lies in its own partition, that of its target.
    The edge cut is the share of the others."""

    nodes: dict[str, list[int]]
    """By node type [P]"""
    edges: dict[str, list[int]]
    """By 'source:relation:target' [P], reverses included"""
    local: dict[str, list[int]]
    """Those of `edges` that are local"""

    def local_share(self, name: str | None = None, partition: int | None = None) -> float:
        """Local edges as a share of the edges: of one type or all, of one partition or all. NaN without edges."""
        names = list(self.edges) if name is None else [name]
        which = slice(None) if partition is None else slice(partition, partition + 1)
        total, local = (sum(sum(found[n][which]) for n in names) for found in (self.edges, self.local))
        return local / total if total else float("nan")


def partition_report(folder: str | Path) -> PartitionReport:
    """Count. Reads the sources of all edges, one file at a time. DataError when it is no whole graph folder."""
    manifest = read_manifest(folder)
    report = PartitionReport(
        {name: [] for name in manifest.nodes},
        {name: [] for name in manifest.edge_names()},
        {name: [] for name in manifest.edge_names()},
    )
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
