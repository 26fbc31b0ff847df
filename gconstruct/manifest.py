"""Writes the graph.json of a new graph folder, and reads that of an old one to see whether it is up to date."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gconstruct.problems import counted
from graphstorm_like.errors import DataError
from graphstorm_like.files import file_hash
from graphstorm_like.graph.schema import (
    MANIFEST,
    EdgeTypeSchema,
    GraphManifest,
    NodeTypeSchema,
    PartitionSchema,
    read_manifest,
)
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.mirror.manifest import held_elsewhere

STITCH_REPORT = "stitch.json"
"""In the folder of a stitched graph, and in those of its partitions."""


@dataclass(slots=True)
class Construction:
    """What was written into a new folder: an engine's tables, the partitions of a graph, a stitched graph."""

    nodes: dict[str, NodeTypeSchema] = field(default_factory=dict)
    edges: list[EdgeTypeSchema] = field(default_factory=list)
    partitions: list[PartitionSchema] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    """Of its files, if whoever wrote them knows: they are not read again."""


def write_manifest(folder: Path, mark: str, graph: Construction) -> GraphManifest:
    """Hash the files of a new graph folder and write its graph.json."""
    if not graph.hashes:
        files = sorted(p for p in folder.rglob("*.arrow"))
        graph.hashes = {p.relative_to(folder).as_posix(): file_hash(p) for p in files}
    manifest = manifest_of(mark, graph)
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return manifest


def manifest_of(mark: str, graph: Construction) -> GraphManifest:
    """The manifest of what was written, whose hashes are known. mark: its fingerprint."""
    return GraphManifest(
        fingerprint=mark,
        nodes=graph.nodes,
        edges=graph.edges,
        partitions=graph.partitions,
        hashes=dict(sorted(graph.hashes.items())),
        dropped=graph.dropped,
    )


def current_manifest(path: Path, mark: str, say: Callable[[str], None] | None = None) -> GraphManifest | None:
    """The manifest, if it has this fingerprint and its files are undamaged, else None. say: gets a line on damage."""
    if not (path / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(path)
    except DataError:
        return None
    if manifest.fingerprint != mark:
        return None
    try:
        verify_graph(path, manifest)
    except DataError as err:
        if say is not None:
            say(f"making the graph again: {err}")
        return None
    return manifest


def whole_manifest(path: Path) -> GraphManifest:
    """The manifest of a folder that must exist already."""
    if not (path / MANIFEST).is_file():
        raise DataError(
            f"{path}: must be a graph folder that is there already, for graph.nodes names no tables (got no "
            f"{MANIFEST} there). Make it, e.g. with gsl stitch, or name its tables in graph.nodes"
        )
    manifest = read_manifest(path)
    missing = {name for name in manifest.hashes if not (path / name).is_file()}
    missing -= held_elsewhere(path, manifest.hashes)
    if missing:
        raise DataError(
            f"{path}: must hold all files of its {MANIFEST} (got {counted(len(missing), 'missing file')}, e.g. "
            f"{min(missing)}). Make or copy the folder again"
        )
    verify_graph(path, manifest)
    return manifest
