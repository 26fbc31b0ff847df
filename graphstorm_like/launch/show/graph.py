"""A graph folder: types, counts, features, labels, splits and partitions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.partition_report import partition_report
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.show.table import table


def show_graph(folder: str | Path) -> Iterator[str]:
    """Types, counts, features, labels and splits of a graph folder."""
    manifest = read_manifest(folder)
    size = sum(p.bytes for p in manifest.partitions)
    yield (
        f"{folder}: {manifest.num_nodes:,} nodes, {manifest.num_edges:,} edges, "
        f"{len(manifest.partitions)} partition(s), {size / 1e6:,.1f} MB"
    )
    yield ""
    rows = [
        [
            name,
            f"{node.count:,}",
            node.id_type,
            ", ".join(f"{n}[{f.width}]" for n, f in node.features.items()) or "-",
            ", ".join([*node.text, *(f"{n} ({i.height} x {i.width})" for n, i in node.image.items())]) or "-",
            ", ".join(f"{n} ({len(v.classes) or 'number'})" for n, v in node.labels.items()) or "-",
        ]
        for name, node in manifest.nodes.items()
    ]
    yield from table(["node type", "nodes", "id", "features", "text, images", "labels"], rows)
    yield ""
    rows = [
        [
            edge_name(edge.edge_type),
            f"{edge.count:,}",
            f"{edge.count / max(1, manifest.nodes[edge.edge_type[2]].count):.2f}",
            ", ".join(f"{n}[{f.width}]" for n, f in edge.features.items()) or "-",
            ", ".join(edge.text) or "-",
            "reverse" if edge.is_reverse else _counts(edge.split_counts or {}),
        ]
        for edge in manifest.edges
    ]
    yield from table(["edge type", "edges", "mean in-degree", "features", "text", "split"], rows)
    labels = [(name, node.labels) for name, node in manifest.nodes.items()]
    labels += [(edge_name(edge.edge_type), edge.labels) for edge in manifest.edges if not edge.is_reverse]
    for name, schemas in labels:
        for label, schema in schemas.items():
            yield ""
            yield f"label {name}.{label}: {_counts(schema.counts)}"
            if schema.classes:
                yield f"  {len(schema.classes)} classes: {', '.join(schema.classes)}"
    if len(manifest.partitions) > 1:
        yield ""
        yield from _partitions(folder, [p.bytes for p in manifest.partitions])


def _partitions(folder: str | Path, sizes: Sequence[int]) -> Iterator[str]:
    """Nodes and edges of each partition, and how many edges have their source in it."""
    report = partition_report(folder)
    rows = [
        [
            f"{p}",
            f"{sum(counts[p] for counts in report.nodes.values()):,}",
            f"{sum(counts[p] for counts in report.edges.values()):,}",
            _share(report.local_share(partition=p)),
            f"{size / 1e6:,.1f}",
            ", ".join(f"{name} {counts[p]:,}" for name, counts in report.nodes.items()),
        ]
        for p, size in enumerate(sizes)
    ]
    yield from table(["partition", "nodes", "edges", "local", "MB", "nodes by type"], rows)
    yield ""
    rows = [
        [name, f"{sum(counts):,}", _share(report.local_share(name)), " + ".join(f"{n:,}" for n in counts)]
        for name, counts in report.edges.items()
    ]
    rows.append(["all", f"{sum(map(sum, report.edges.values())):,}", _share(report.local_share()), ""])
    yield from table(["edge type", "edges", "local", "edges by partition"], rows)
    yield "local: share of the edges whose source lies in the same partition as their target"


def _share(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{k} {v:,}" for k, v in counts.items()) or "-"
