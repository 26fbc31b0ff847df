"""A graph folder -> what is in it: counts, degrees, features, texts, labels, partitions.

Files are mapped, read in blocks and forgotten. Held in memory: one byte a node (which ones have edges), and for edge
types without a reverse 16 bytes a source node. Reverse types hold the same edges as their originals, and are not
profiled again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gconstruct.opened import OpenFiles
from gconstruct.report.degrees import BLOCK, DegreeCounter, array_blocks, degree_blocks
from gconstruct.report.labels import label_profile
from gconstruct.report.lengths import text_profile
from gconstruct.report.model import (
    Degrees,
    EdgeProfile,
    FeatureProfile,
    GraphReport,
    ImageProfile,
    LabelProfile,
    NodeProfile,
    PartitionProfile,
    TextProfile,
)
from gconstruct.report.numbers import MIN_SEEN, feature_profile
from gconstruct.report.rows import Pieces, sample_runs
from gconstruct.report.sparse import sparse_profile
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    SOURCE_COLUMN,
    TARGET_COLUMN,
    EdgeTypeSchema,
    FeatureSchema,
    GraphManifest,
    LabelSchema,
    NodeTypeSchema,
    PartitionSchema,
    TextSchema,
    feature_column,
    indptr_file,
    label_column,
    label_split_column,
    text_column,
)


def profile_graph(folder: Path, manifest: GraphManifest) -> GraphReport:
    """What the files of a graph folder hold. Raises DataError when one is missing or broken."""
    return _Profiler(folder, manifest).report()


class _Profiler:
    def __init__(self, folder: Path, manifest: GraphManifest) -> None:
        self._folder, self._manifest = folder, manifest
        self._parts = manifest.partitions
        self._opened = OpenFiles()
        self._has_edges = {name: np.zeros(node.count, bool) for name, node in manifest.nodes.items()}

    def report(self) -> GraphReport:
        edges = {edge_name(e.edge_type): self._edges(e) for e in self._manifest.edges if not e.is_reverse}
        return GraphReport(
            fingerprint=self._manifest.fingerprint,
            bytes=sum(part.bytes for part in self._parts),
            nodes={name: self._nodes(name, node) for name, node in self._manifest.nodes.items()},
            edges=edges,
            partitions=self._partitions() if len(self._parts) > 1 else [],
            dropped=self._manifest.dropped,
        )

    # ------------------------------------------------------------------------------------------------------ nodes

    def _nodes(self, name: str, node: NodeTypeSchema) -> NodeProfile:
        table = self._node_table(name)
        images = {}
        for image, schema in node.image.items():
            size = node.count * schema.height * schema.width * 3
            images[image] = ImageProfile(height=schema.height, width=schema.width, bytes=size)
        return NodeProfile(
            count=node.count,
            id_type=node.id_type,
            isolated=node.count - int(np.count_nonzero(self._has_edges[name])),
            features=_features(table, node.features),
            text=_texts(table, node.text),
            image=images,
            labels=_labels(table, node.labels),
        )

    def _node_table(self, name: str) -> _Table:
        return _Table([self._folder / part.folder / part.node_files[name] for part in self._parts], self._opened)

    # ------------------------------------------------------------------------------------------------------ edges

    def _edges(self, edge: EdgeTypeSchema) -> EdgeProfile:
        source, relation, target = edge.edge_type
        table = _Table([self._edge_file(part, edge.edge_type) for part in self._parts], self._opened)
        repeated, loops = _pairs(table, source == target)
        return EdgeProfile(
            source=source,
            relation=relation,
            target=target,
            count=edge.count,
            reverse=None if edge.reverse is None else edge_name(edge.reverse),
            out_degrees=self._out_degrees(edge, table),
            in_degrees=self._in_degrees(edge.edge_type, target),
            repeated=repeated,
            loops=loops,
            splits=edge.split_counts,
            features=_features(table, edge.features),
            text=_texts(table, edge.text),
            labels=_labels(table, edge.labels),
        )

    def _edge_file(self, part: PartitionSchema, edge_type: EdgeType) -> Path:
        return self._folder / part.folder / part.edge_files[edge_name(edge_type)]

    def _in_degrees(self, edge_type: EdgeType, node_type: str) -> Degrees:
        """Of the targets of an edge type, which are of this node type."""
        counter, at = DegreeCounter(), 0
        for part in self._parts:
            file = self._edge_file(part, edge_type)
            indptr = self._opened.open(file.with_name(indptr_file(file.name))).column(0).to_numpy()
            for degrees in degree_blocks(indptr):
                counter.add(degrees)
                self._has_edges[node_type][at : at + len(degrees)] |= degrees > 0
                at += len(degrees)
                self._opened.was_read(degrees.nbytes)
        return counter.result(node_type, self._node_table(node_type).column(ID_COLUMN))

    def _out_degrees(self, edge: EdgeTypeSchema, table: _Table) -> Degrees:
        node_type = edge.edge_type[0]
        if edge.reverse is not None:
            return self._in_degrees(edge.reverse, node_type)
        degrees = np.zeros(self._manifest.nodes[node_type].count, np.int64)
        # A bincount touches every node, so that a block has as many edges at least.
        sources = table.column(SOURCE_COLUMN)
        for piece in sources.slices([(0, len(sources))], max(16 * BLOCK, len(degrees))):
            degrees += np.bincount(piece.to_numpy(), minlength=len(degrees))
        self._has_edges[node_type] |= degrees > 0
        counter = DegreeCounter()
        for block in array_blocks(degrees):
            counter.add(block)
        return counter.result(node_type, self._node_table(node_type).column(ID_COLUMN))

    def _partitions(self) -> list[PartitionProfile]:
        """Counts of each, and how many edges have their source in it."""
        profiles = []
        for part in self._parts:
            edges, local = {}, {}
            for edge in self._manifest.edges:
                name = edge_name(edge.edge_type)
                sources = _Table([self._edge_file(part, edge.edge_type)], self._opened).column(SOURCE_COLUMN)
                start, stop = part.node_ranges[edge.edge_type[0]]
                edges[name], local[name] = len(sources), 0
                for piece in sources.slices([(0, len(sources))], BLOCK):
                    block = piece.to_numpy()
                    local[name] += int(np.count_nonzero((block >= start) & (block < stop)))
            nodes = {name: stop - start for name, (start, stop) in part.node_ranges.items()}
            profiles.append(PartitionProfile(nodes=nodes, edges=edges, local=local, bytes=part.bytes))
        return profiles


class _Table:
    """The files of one node or edge type, mapped."""

    def __init__(self, files: list[Path], opened: OpenFiles) -> None:
        self._batches, self._opened = [opened.open(file) for file in files], opened

    def column(self, name: str) -> Pieces:
        return Pieces([batch.column(name) for batch in self._batches], self._opened)


def _pairs(table: _Table, same_type: bool) -> tuple[int, int]:
    """(edges with both ends of the one before, edges from a node to itself); edges are sorted by their ends."""
    sources, targets = table.column(SOURCE_COLUMN), table.column(TARGET_COLUMN)
    repeated, loops = 0, 0
    last = (-1, -1)
    rows = [(0, len(sources))]
    for source_piece, target_piece in zip(sources.slices(rows, BLOCK), targets.slices(rows, BLOCK), strict=True):
        source, target = source_piece.to_numpy(), target_piece.to_numpy()
        repeated += int(np.count_nonzero((source[1:] == source[:-1]) & (target[1:] == target[:-1])))
        repeated += (int(source[0]), int(target[0])) == last
        last = (int(source[-1]), int(target[-1]))
        if same_type:
            loops += int(np.count_nonzero(source == target))
    return repeated, loops


def _features(table: _Table, schemas: Mapping[str, FeatureSchema]) -> dict[str, FeatureProfile]:
    total = max(1, sum(schema.width for schema in schemas.values()))
    profiles = {}
    for name, schema in schemas.items():
        column = table.column(feature_column(name))
        if schema.sparse and len(column):
            profiles[name] = sparse_profile(column, schema, sample_runs(len(column), MIN_SEEN))
        else:
            profiles[name] = feature_profile(column, schema, schema.width / total)
    return profiles


def _texts(table: _Table, schemas: Mapping[str, TextSchema]) -> dict[str, TextProfile]:
    return {name: text_profile(table.column(text_column(name))) for name in schemas}


def _labels(table: _Table, schemas: Mapping[str, LabelSchema]) -> dict[str, LabelProfile]:
    profiles = {}
    for name, schema in schemas.items():
        values, splits = table.column(label_column(name)), table.column(label_split_column(name))
        profiles[name] = label_profile(values, splits, schema)
    return profiles
