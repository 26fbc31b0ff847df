"""How a graph folder is spread over its partitions: nodes, training rows, edges and those between partitions, halo,
bytes.

In: a graph folder of P partitions. Out: counts [P]. Reads the sources and splits of all edges, a piece at a time.
Memory: one byte per node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.partition_reader import HiddenEdges, Partition
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    EdgeTypeSchema,
    GraphManifest,
    label_split_column,
    read_manifest,
)

_EDGES = 1 << 22
"""Read at a time"""
_TRAIN = SPLITS.index("train")
Counts = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """Counts for each of P partitions. An edge lies in the partition of its target; it is local when its source lies
    there too, and remote otherwise."""

    nodes: Counts = field(default_factory=dict)
    """By node type [P]"""
    edges: Counts = field(default_factory=dict)
    """By 'source:relation:target' [P], reverses included"""
    local: Counts = field(default_factory=dict)
    """Local edges, by the same names [P]"""
    training: Counts = field(default_factory=dict)
    """Training rows [P]: nodes in the training split of a label, by node type; edges in the training split, by name"""
    halo: Counts = field(default_factory=dict)
    """By node type [P]: nodes of other partitions at which edges of this one start. Their rows are asked for over the
    network"""
    bytes: list[int] = field(default_factory=list)
    """Size of the files [P]: what a host holds"""
    reverse: frozenset[str] = frozenset()
    """Names of the reverse edge types, which hold the edges of others again"""

    def local_share(self, name: str | None = None, partition: int | None = None) -> float:
        """Local edges as a share of the edges: of one type or all, of one partition or all. NaN without edges."""
        names = list(self.edges) if name is None else [name]
        return self._share(names, slice(None) if partition is None else slice(partition, partition + 1))

    @property
    def cut(self) -> float:
        """The edge cut: edges between partitions as a share of all edges, reverse types not counted. NaN without
        edges."""
        return 1 - self._share([name for name in self.edges if name not in self.reverse], slice(None))

    def _share(self, names: Sequence[str], partitions: slice) -> float:
        total = sum(sum(self.edges[n][partitions]) for n in names)
        local = sum(sum(self.local[n][partitions]) for n in names)
        return local / total if total else float("nan")

    def totals(self, of: Counts) -> list[int]:
        """Of all types together [P]."""
        return [sum(counts[p] for counts in of.values()) for p in range(len(self.bytes))]

    def balance(self) -> dict[str, float]:
        """Largest over mean, by what is counted; 1 is even. What there is nothing of is left out."""
        kinds = {f"nodes:{name}": counts for name, counts in self.nodes.items()}
        kinds |= {"nodes": self.totals(self.nodes), "edges": self.totals(self.edges)}
        kinds |= {f"training:{name}": counts for name, counts in self.training.items()}
        kinds |= {"halo": self.totals(self.halo), "bytes": self.bytes}
        return {name: max(counts) * len(counts) / sum(counts) for name, counts in kinds.items() if sum(counts)}

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON; shares of nothing are null."""
        shares = {"cut": self.cut, "remote": 1 - self.local_share()}
        counts = {"nodes": self.nodes, "training": self.training, "edges": self.edges, "local_edges": self.local}
        return {
            "partitions": len(self.bytes),
            **{name: None if np.isnan(share) else share for name, share in shares.items()},
            "balance": self.balance(),
            **counts,
            "halo": self.halo,
            "bytes": self.bytes,
        }


def partition_report(folder: str | Path) -> PartitionReport:
    """Count what each partition has. DataError when the folder is not a complete graph folder."""
    manifest = read_manifest(folder)
    report = PartitionReport(
        bytes=[part.bytes for part in manifest.partitions],
        reverse=frozenset(edge_name(edge.edge_type) for edge in manifest.edges if edge.is_reverse),
    )
    for name in manifest.nodes:
        report.nodes[name], report.halo[name] = [], []
    for name in manifest.edge_names():
        report.edges[name], report.local[name] = [], []
    for number in range(len(manifest.partitions)):
        part = Partition(Path(folder), manifest, number, HiddenEdges({}, {}))
        _count_nodes(part, report)
        for node_type in manifest.nodes:
            _count_edges_from(part, node_type, report)
    return report


def _count_nodes(part: Partition, report: PartitionReport) -> None:
    for node_type, schema in part.manifest.nodes.items():
        start, stop = part.schema.node_ranges[node_type]
        report.nodes[node_type].append(stop - start)
        if schema.labels:
            trained = np.zeros(stop - start, bool)
            for label in schema.labels:
                trained |= part.column((node_type, label_split_column(label))) == _TRAIN
            report.training.setdefault(node_type, []).append(int(np.count_nonzero(trained)))


def _count_edges_from(part: Partition, node_type: str, report: PartitionReport) -> None:
    """Edges whose sources are of one type, and the halo of that type."""
    start, stop = part.schema.node_ranges[node_type]
    seen = np.zeros(part.manifest.node(node_type).count, bool)
    for edge in _edges_from(part.manifest, node_type):
        name = edge_name(edge.edge_type)
        sources, local = part.column((edge.edge_type, SOURCE_COLUMN)), 0
        for at in range(0, len(sources), _EDGES):
            piece = sources[at : at + _EDGES]
            seen[piece] = True
            local += int(np.count_nonzero((piece >= start) & (piece < stop)))
        report.edges[name].append(len(sources))
        report.local[name].append(local)
        if edge.split_counts is not None and not edge.is_reverse:
            splits = part.column((edge.edge_type, SPLIT_COLUMN))
            report.training.setdefault(name, []).append(int(np.count_nonzero(splits == _TRAIN)))
    seen[start:stop] = False
    report.halo[node_type].append(int(np.count_nonzero(seen)))


def _edges_from(manifest: GraphManifest, node_type: str) -> Iterator[EdgeTypeSchema]:
    return (edge for edge in manifest.edges if edge.edge_type[0] == node_type)
