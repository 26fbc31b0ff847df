"""A graph folder: types, counts, features, labels, splits and partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graphstorm_like.config.base import edge_name
from graphstorm_like.errors import DataError
from graphstorm_like.graph.partition_report import partition_report
from graphstorm_like.graph.schema import EdgeTypeSchema, FeatureSchema, NodeTypeSchema, read_manifest
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.launch.show.partitions import partition_lines
from graphstorm_like.launch.show.table import table


def show_graph(folder: str | Path, check: bool = True) -> Iterator[str]:
    """Types, counts, features, labels and splits of a graph folder. check: whether to verify its files first; DataError
    names a file that differs from what was written."""
    manifest = read_manifest(folder)
    if check:
        verify_graph(Path(folder), manifest)
    size = sum(p.bytes for p in manifest.partitions)
    yield (
        f"{folder}: {manifest.num_nodes:,} nodes, {manifest.num_edges:,} edges, "
        f"{len(manifest.partitions)} partition(s), {size / 1e6:,.1f} MB"
    )
    yield ""
    rows = []
    for name, node in manifest.nodes.items():
        images = [f"{image} ({size.height} x {size.width})" for image, size in node.image.items()]
        labels = [f"{label} ({len(schema.classes) or 'number'})" for label, schema in node.labels.items()]
        columns = [_features(node.features), ", ".join([*node.text, *images]) or "-", ", ".join(labels) or "-"]
        rows.append([name, f"{node.count:,}", node.id_type, *columns])
    yield from table(["node type", "nodes", "id", "features", "text, images", "labels"], rows)
    yield ""
    rows = [
        [
            edge_name(edge.edge_type),
            f"{edge.count:,}",
            f"{edge.count / max(1, manifest.nodes[edge.edge_type[2]].count):.2f}",
            _features(edge.features),
            ", ".join(edge.text) or "-",
            "reverse" if edge.is_reverse else _counts(edge.split_counts or {}),
        ]
        for edge in manifest.edges
    ]
    yield from table(["edge type", "edges", "mean in-degree", "features", "text", "split"], rows)
    labels_by_type = [(name, node.labels) for name, node in manifest.nodes.items()]
    labels_by_type += [(edge_name(edge.edge_type), edge.labels) for edge in manifest.edges if not edge.is_reverse]
    for name, schemas in labels_by_type:
        for label, schema in schemas.items():
            yield ""
            yield f"label {name}.{label}: {_counts(schema.counts)}"
            if schema.classes:
                yield f"  {len(schema.classes)} classes: {', '.join(schema.classes)}"
    if len(manifest.partitions) > 1:
        yield ""
        yield from partition_lines(partition_report(folder))


def graph_facts(folder: str | Path, check: bool = True) -> dict[str, Any]:
    """The same as values for scripts; raises DataError likewise."""
    manifest = read_manifest(folder)
    if check:
        verify_graph(Path(folder), manifest)
    nodes = {}
    for name, node in manifest.nodes.items():
        images = {image: [size.height, size.width] for image, size in node.image.items()}
        nodes[name] = {"count": node.count, "id": node.id_type, "images": images, **_attributes(node)}
    edges = []
    for edge in manifest.edges:
        facts = {"type": edge_name(edge.edge_type), "count": edge.count, "reverse": edge.is_reverse}
        edges.append({**facts, "split": edge.split_counts, **_attributes(edge)})
    return {
        "folder": str(folder),
        "fingerprint": manifest.fingerprint,
        "bytes": sum(partition.bytes for partition in manifest.partitions),
        "partitions": len(manifest.partitions),
        "nodes": nodes,
        "edges": edges,
    }


def _attributes(table: NodeTypeSchema | EdgeTypeSchema) -> dict[str, Any]:
    return {
        "features": {name: schema.width for name, schema in table.features.items()},
        "text": list(table.text),
        "labels": {name: {"classes": s.classes, "counts": s.counts} for name, s in table.labels.items()},
    }


def remake_report(folder: str | Path) -> Path:
    """Write the report of a graph folder again; returns the path of the page. What construction recorded is kept, if
    the report that is there has it. DataError when the folder cannot be read or written."""
    from gconstruct.report.model import REPORT_HTML
    from gconstruct.report.write import write_report

    try:
        write_report(Path(folder))
    except OSError as err:
        raise DataError(
            f"{folder}: must be a folder that can be written, for the report (got {err.strerror or err}). "
            "Check the disk and its permissions"
        ) from err
    return Path(folder) / REPORT_HTML


def _features(features: Mapping[str, FeatureSchema]) -> str:
    return ", ".join(f"{name}[{schema.width}]" for name, schema in features.items()) or "-"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{k} {v:,}" for k, v in counts.items()) or "-"
