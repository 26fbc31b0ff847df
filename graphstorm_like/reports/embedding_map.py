"""Exported embeddings of a sample of nodes on their first two principal components."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.reports.model import EmbeddingMap
from graphstorm_like.reports.rows import shards
from graphstorm_like.reports.run_folder import RunFolder

SAMPLE, COLOURS, BATCH = 1500, 5, 16_384
"""Nodes; groups with a colour of their own; rows that are read at once"""
Floats = npt.NDArray[np.float64]


def principal_components(vectors: Floats) -> tuple[Floats, tuple[float, float]]:
    """([n, 2] of vectors [n, D], shares of the variance along both). The larger side of each component is positive, so
    that the picture does not depend on the linear algebra library."""
    centred = vectors - vectors.mean(axis=0)
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    width = min(2, len(strength))
    points = np.zeros((len(vectors), 2))
    points[:, :width] = left[:, :width] * strength[:width]
    largest = np.abs(points).argmax(axis=0)
    points *= np.where(points[largest, [0, 1]] < 0, -1.0, 1.0)
    power = strength**2
    shares = np.zeros(2)
    if power.sum() > 0:
        shares[:width] = power[:width] / power.sum()
    return points, (float(shares[0]), float(shares[1]))


def embedding_map(folder: RunFolder, graph: Graph, node_type: NodeType, label: str | None) -> EmbeddingMap | None:
    """The map of a node type, coloured by a label of it; None when there are no embeddings of this graph."""
    files = shards(folder, f"embeddings/{node_type}")
    count = graph.manifest.node(node_type).count
    if not files or sum(pq.read_metadata(file).num_rows for file in files) != count or count < 3:
        return None
    sample = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64))
    vectors = _read(files, sample)
    if not np.isfinite(vectors).all():
        return None
    points, explained = principal_components(vectors)
    groups, of_node = _groups(graph, node_type, label, sample)
    return EmbeddingMap(
        node_type=node_type,
        width=vectors.shape[1],
        nodes=count,
        sampled=len(sample),
        explained=explained,
        groups=groups,
        points=[
            (round(x, 4), round(y, 4), int(g)) for (x, y), g in zip(points.tolist(), of_node.tolist(), strict=True)
        ],
    )


def _read(files: list[Path], rows: IntArray) -> Floats:
    """Vectors [len(rows), D] of ascending rows, a batch in memory at a time."""
    found, start = [], 0
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["embedding"]):
            wanted = rows[(rows >= start) & (rows < start + len(batch))] - start
            if len(wanted):
                column = batch.column(0).take(pa.array(wanted))
                found.append(column.flatten().to_numpy(zero_copy_only=False).reshape(len(wanted), -1))
            start += len(batch)
    return np.concatenate(found).astype(np.float64)


def _groups(graph: Graph, node_type: NodeType, label: str | None, sample: IntArray) -> tuple[list[str], IntArray]:
    """(names of groups, group of each node). The last is that of all others where there are more."""
    schema = graph.manifest.node(node_type).labels.get(label or "")
    alike = [""], np.zeros(len(sample), dtype=np.int64)
    if schema is None or label is None:
        return alike
    values = graph.label(node_type, label)[sample]
    if schema.kind == "class":
        return _class_groups(values.astype(np.int64), schema.classes)
    if schema.kind == "number":
        return _number_groups(values.astype(np.float64))
    return alike


def _class_groups(values: IntArray, classes: list[str]) -> tuple[list[str], IntArray]:
    counts = np.bincount(values[values >= 0], minlength=len(classes))
    largest = np.argsort(-counts, kind="stable")
    shown = [i for i in largest[:COLOURS].tolist() if counts[i]]
    group = np.full(len(classes) + 1, len(shown))  # the last one: no label
    group[shown] = np.arange(len(shown))
    of_node = group[values]
    others = ["other classes, or none"] if (of_node == len(shown)).any() else []
    return [classes[i] for i in shown] + others, of_node


def _number_groups(values: Floats) -> tuple[list[str], IntArray]:
    known = values[np.isfinite(values)]
    if not len(known):
        return [""], np.zeros(len(values), dtype=np.int64)
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, COLOURS + 1)[1:-1]))
    names = [f"up to {cut:.4g}" for cut in cuts] + [f"over {cuts[-1]:.4g}"]
    of_node = np.searchsorted(cuts, values, side="left")
    unknown = ~np.isfinite(values)
    of_node[unknown] = len(names)
    return names + ["none"] * bool(unknown.any()), of_node.astype(np.int64)
