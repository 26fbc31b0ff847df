"""Two graph folders and their alignment -> one: the application's graph with its corpus neighbourhood (GaLM, KDD 2023).

In: StitchConfig with absolute folders. Out: a graph folder whose application nodes and edges are those of the
application, and stitch.json, the report. A corpus edge type package:depends:package becomes up to four,
item:corpus_depends:item, item:corpus_depends:corpus_package and so on, each with its reverse if the corpus has one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.attributes import Attributes
from gconstruct.csc import sort_edges
from gconstruct.manifest import STITCH_REPORT, Construction, current_manifest, write_manifest
from gconstruct.opened import open_file
from gconstruct.problems import counted, shown
from gconstruct.stitching.neighbourhood import Relation, joins_pair, match, pair_keys, surroundings
from gconstruct.write import file_names, write_columns
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.stitch import StitchConfig
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.files import check_target, file_hash, new_folder, recover_target
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    MANIFEST,
    SCHEMA_VERSION,
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    TIME_COLUMN,
    EdgeTypeSchema,
    GraphManifest,
    PartitionSchema,
    feature_column,
    image_column,
    indptr_file,
    read_manifest,
    text_column,
)
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.hashing import hash_facts

STITCH_VERSION = 1
"""To be raised when the same graphs give another stitched graph."""
_PART = "part-0"
Progress = Callable[[str], None]


def stitch(config: StitchConfig, *, progress: Progress | None = None, force: bool = False) -> GraphManifest:
    """Make the graph folder `config.output` unless it is up to date, and return its manifest.

    Raises ConfigError (names that the graphs do not have, names that clash) or DataError, and then leaves the folder
    as it was. `progress` gets plain lines. `force` builds in any case.
    """
    say = progress or (lambda _: None)
    started = time.perf_counter()
    path = _target(config)
    mark = fingerprint(config)
    try:
        recover_target(path)
        manifest = None if force else current_manifest(path, mark, say)
        if manifest is not None:
            say(f"{path} is up to date")
            return manifest
        check_target(path, "output", "stitched graph", STITCH_REPORT, partitioned=False)
        stitching = Stitching(config, say)
        stitching.prepare()
        with new_folder(path) as folder:
            manifest = write_manifest(folder, mark, stitching.write(folder))
    except OSError as err:
        raise DataError(
            f"{path}: the graph folder must be writable (got {err.strerror or err}: {err.filename or path}). "
            "Check the disk and its permissions, or set output to another folder"
        ) from err
    say(
        f"{path}: {counted(manifest.num_nodes, 'node')}, {counted(manifest.num_edges, 'edge')} with reverses "
        f"({time.perf_counter() - started:.1f} s)"
    )
    return manifest


def fingerprint(config: StitchConfig) -> str:
    """32 hex digits of the configuration (without its folders), both graphs' manifests, and the versions of schema
    and stitching. Raises DataError when a graph is missing."""
    graphs = [config.application, config.corpus]
    for folder in graphs:
        read_manifest(folder)
    content = {
        "config": config.model_dump(mode="json", exclude={"application", "corpus", "output"}),
        "graphs": [file_hash(Path(folder) / MANIFEST) for folder in graphs],
        "versions": [SCHEMA_VERSION, STITCH_VERSION],
    }
    return hash_facts(content)


def read_report(folder: str | Path) -> dict[str, Any]:
    """stitch.json of a stitched graph folder: `aligned` by application node type (corpus, nodes, aligned, ambiguous,
    rate), `added_nodes`, `added_edges` by type, and `left_out`: corpus edges that repeat held_out and train edges."""
    report: dict[str, Any] = json.loads((Path(folder) / STITCH_REPORT).read_text(encoding="utf-8"))
    return report


def _target(config: StitchConfig) -> Path:
    path, resolved = Path(config.output).absolute(), Path(config.output).resolve()
    for key in ("application", "corpus"):
        source_folder = Path(getattr(config, key)).resolve()
        if resolved.is_relative_to(source_folder) or source_folder.is_relative_to(resolved):
            raise ConfigError(
                f"output: must be neither in nor around the folder {key} (got {config.output}). Name another folder"
            )
    return resolved if path.is_symlink() else path  # replace what a link points to, not the link


class _Graph:
    """A graph folder of one partition, memory-mapped."""

    def __init__(self, folder: str) -> None:
        self.folder, self.manifest = Path(folder), read_manifest(folder)
        if len(self.manifest.partitions) != 1:
            raise DataError(
                f"{folder}: must have one partition (got {len(self.manifest.partitions)}). "
                f"Make one of them with: gsl partition {folder} NEW_FOLDER --count 1"
            )
        verify_graph(self.folder, self.manifest)
        self._part = self.manifest.partitions[0]

    def nodes(self, node_type: str) -> pa.RecordBatch:
        """One row per node."""
        return self._open(self._part.node_files[node_type])

    def edges(self, edge_type: EdgeType) -> pa.RecordBatch:
        """One row per edge, sorted by target."""
        return self._open(self._part.edge_files[edge_name(edge_type)])

    def indptr(self, edge_type: EdgeType) -> pa.RecordBatch:
        """Index pointers of the edges."""
        return self._open(indptr_file(self._part.edge_files[edge_name(edge_type)]))

    def key(self, node_type: str, text: str | None) -> pa.Array:
        """The ids of the nodes, or one of their texts."""
        return self.nodes(node_type).column(ID_COLUMN if text is None else text_column(text))

    def _open(self, file: str) -> pa.RecordBatch:
        return open_file(self.folder / self._part.folder / file)


@dataclass(frozen=True, slots=True)
class _Added:
    """Corpus edges between two node types of the stitched graph."""

    number: int
    """of the corpus edge type"""
    edge_type: EdgeType
    reverse: EdgeType | None
    rows: np.ndarray
    """int64 (e): in the corpus edge table"""
    source: np.ndarray
    """int64 (e): node positions in the stitched graph"""
    target: np.ndarray

    @property
    def names(self) -> list[EdgeType]:
        """The edge type, and its reverse if there is one."""
        return [self.edge_type] if self.reverse is None else [self.edge_type, self.reverse]


class Stitching:
    """One run: `prepare` decides which nodes and edges are added, `write` writes the graph."""

    def __init__(self, config: StitchConfig, say: Progress) -> None:
        self._config, self._say = config, say
        self._application, self._corpus = _Graph(config.application), _Graph(config.corpus)
        self._relations: dict[int, Relation] = {}
        self._positions: dict[str, dict[str, np.ndarray]] = {t: {} for t in self._corpus.manifest.nodes}
        """By corpus node type and node type of the stitched graph: int64 (m), the position there, -1: not there."""
        self._counts = {name: node.count for name, node in self._application.manifest.nodes.items()}
        self._rows: dict[str, tuple[str, np.ndarray]] = {}
        """By added node type: corpus node type, and its rows that are added."""
        self._added: list[_Added] = []
        self._bytes = 0
        self._report: dict[str, Any] = {"aligned": {}, "added_nodes": {}, "added_edges": {}, "left_out": {}}

    def prepare(self) -> None:
        """Align nodes, follow edges, and number the nodes that were reached. Raises ConfigError or DataError."""
        self._check_names()
        numbers = self._chosen_relations()
        self._align()
        for number in numbers:
            edge_type = self._corpus.manifest.edges[number].edge_type
            batch = self._corpus.edges(edge_type)
            source, target = batch.column(SOURCE_COLUMN).to_numpy(), batch.column(TARGET_COLUMN).to_numpy()
            usable = np.ones(len(source), bool)
            self._relations[number] = Relation(edge_type[0], edge_type[2], source, target, usable)
        self._leave_out_copies()
        aligned: dict[str, np.ndarray] = {}
        for name, node in self._corpus.manifest.nodes.items():
            aligned[name] = np.zeros(node.count, bool)
            for positions in self._positions[name].values():
                aligned[name] |= positions >= 0
        config = self._config
        followed, reached = surroundings(self._relations, aligned, config.hops, config.max_neighbors, config.seed)
        for name, mask in reached.items():
            rows = np.flatnonzero(mask & ~aligned[name])
            if rows.size:
                self._add_nodes(name, rows)
        self._add_edges(followed)

    def _check_names(self) -> None:
        """Raises ConfigError with all names that the graphs do not have."""
        problems = []
        graphs = {"application": self._application.manifest, "corpus": self._corpus.manifest}
        for own_type, align in self._config.align.items():
            where = f"align.{own_type}"
            sides = (
                ("application", where, own_type, align.application_key),
                ("corpus", f"{where}.corpus", align.corpus, align.corpus_key),
            )
            for side, at, node_type, key in sides:
                nodes = graphs[side].nodes
                if node_type not in nodes:
                    problems.append(unknown(at, f"node type of the {side}", node_type, nodes))
                elif key is not None and key not in nodes[node_type].text:
                    problems.append(unknown(f"{where}.{side}_key", "text", key, nodes[node_type].text))
        names = self._corpus.manifest.edge_names()
        for field in ("edge_types", "leave_out"):
            for i, edge_type in enumerate(getattr(self._config, field) or ()):
                if edge_name(edge_type) not in names:
                    problems.append(unknown(f"{field}[{i}]", "edge type of the corpus", edge_name(edge_type), names))
        if problems:
            raise ConfigError(problems)

    def _chosen_relations(self) -> list[int]:
        """Numbers of the corpus edge types to add, in the corpus's manifest. Raises ConfigError when there are none."""

        def is_in(edge: EdgeTypeSchema, edge_types: list[EdgeType]) -> bool:
            return edge.edge_type in edge_types or edge.reverse in edge_types

        chosen, left_out = self._config.edge_types, self._config.leave_out
        numbers = []
        for number, edge in enumerate(self._corpus.manifest.edges):
            if edge.is_reverse or is_in(edge, left_out):
                continue
            if chosen is None or is_in(edge, chosen):
                numbers.append(number)
        if not numbers:
            raise ConfigError(
                f"edge_types, leave_out: must leave at least one corpus edge type (got none of "
                f"{', '.join(self._corpus.manifest.edge_names())})"
            )
        return numbers

    def _align(self) -> None:
        """Fill `_positions` for application types."""
        matches = {}
        for node_type, align in self._config.align.items():
            keys = (
                self._application.key(node_type, align.application_key),
                self._corpus.key(align.corpus, align.corpus_key),
            )
            matches[node_type] = match(*keys)
        for corpus_type, node in self._corpus.manifest.nodes.items():
            own_types = [node_type for node_type, align in self._config.align.items() if align.corpus == corpus_type]
            claims = np.zeros(node.count, np.int64)
            for node_type in own_types:
                claims[matches[node_type].other] += 1
            for node_type in own_types:
                unshared = claims[matches[node_type].other] == 1
                positions = np.full(node.count, -1, np.int64)
                positions[matches[node_type].other[unshared]] = matches[node_type].own[unshared]
                self._positions[corpus_type][node_type] = positions
                ambiguous = np.count_nonzero(matches[node_type].ambiguous) + np.count_nonzero(~unshared)
                self._tell_alignment(node_type, int(np.count_nonzero(unshared)), int(ambiguous))

    def _tell_alignment(self, node_type: str, aligned: int, ambiguous: int) -> None:
        align, total = self._config.align[node_type], self._counts[node_type]
        if not aligned:
            keys = (
                (node_type, self._application.key(node_type, align.application_key)),
                (align.corpus, self._corpus.key(align.corpus, align.corpus_key)),
            )
            examples = " and ".join(f"{shown(column[0].as_py())} in {n}" for n, column in keys if len(column))
            raise DataError(
                f"align.{node_type}: at least one node must align with a corpus node of type {align.corpus!r} (got "
                f"none of {total:,}, {ambiguous:,} ambiguous; keys are e.g. {examples}). Name texts that hold "
                f"equal keys in application_key and corpus_key"
            )
        rate = aligned / total
        self._report["aligned"][node_type] = {
            "corpus": align.corpus, "nodes": total, "aligned": aligned, "ambiguous": ambiguous, "rate": rate
        }  # fmt: skip
        self._say(
            f"{node_type}: {aligned:,} of {counted(total, 'node')} aligned with {align.corpus} ({rate:.1%}), "
            f"{ambiguous:,} ambiguous"
        )

    def _leave_out_copies(self) -> None:
        """Mark corpus edges that repeat an edge with a split, in either direction, as unusable."""
        left_out = {"held_out": ("valid", "test"), "train": ("train",)}
        if self._config.copies_of_split_edges != "leave_out":
            del left_out["train"]
        if self._config.copies_of_split_edges == "keep":
            left_out = {}
        for name, splits in left_out.items():
            total = 0
            pairs = self._pairs(splits)
            for relation in self._relations.values():
                for own_source, sources in self._positions[relation.source_type].items():
                    for own_target, targets in self._positions[relation.target_type].items():
                        keys = pairs.get((own_source, own_target))
                        if keys is None:
                            continue
                        ends = sources[relation.source], targets[relation.target]
                        copies = joins_pair(*ends, keys, self._counts[own_target])
                        total += int(np.count_nonzero(copies & relation.usable))
                        relation.usable &= ~copies
            self._report["left_out"][name] = total
            if total:
                self._say(f"{counted(total, 'corpus edge')} left out for repeating {name.replace('_', '-')} edges")

    def _pairs(self, splits: tuple[str, ...]) -> dict[tuple[str, str], np.ndarray]:
        """Keys of the node pairs that application edges of these splits join, both ways, by the pair's node types."""
        keys_by_ends: dict[tuple[str, str], list[np.ndarray]] = {}
        for edge in self._application.manifest.edges:
            if edge.split_counts is None or edge.is_reverse:
                continue
            batch = self._application.edges(edge.edge_type)
            rows = np.isin(batch.column(SPLIT_COLUMN).to_numpy(), [SPLITS.index(split) for split in splits])
            source, target = (batch.column(c).to_numpy()[rows] for c in (SOURCE_COLUMN, TARGET_COLUMN))
            near, far = edge.edge_type[0], edge.edge_type[2]
            keys_by_ends.setdefault((near, far), []).append(pair_keys(source, target, self._counts[far]))
            keys_by_ends.setdefault((far, near), []).append(pair_keys(target, source, self._counts[near]))
        return {ends: np.unique(np.concatenate(keys)) for ends, keys in keys_by_ends.items()}

    def _add_nodes(self, corpus_type: str, rows: np.ndarray) -> None:
        """Number corpus nodes that are not aligned, as a node type of their own."""
        name = f"{self._config.prefix}{corpus_type}"
        if name in self._application.manifest.nodes:
            raise ConfigError(
                f"prefix: must make new node types (got '{name}' for the corpus's '{corpus_type}', which the "
                f"application has already). Choose another prefix than '{self._config.prefix}'"
            )
        positions = np.full(self._corpus.manifest.nodes[corpus_type].count, -1, np.int64)
        positions[rows] = np.arange(len(rows))
        self._positions[corpus_type][name] = positions
        self._rows[name], self._counts[name] = (corpus_type, rows), len(rows)
        self._report["added_nodes"][name] = len(rows)
        self._say(f"{name}: {counted(len(rows), 'node')} added")

    def _add_edges(self, followed: dict[int, np.ndarray]) -> None:
        """Divide the corpus edges that were followed by the new node types of their ends."""
        own_edge_types = {edge.edge_type for edge in self._application.manifest.edges}
        for number, mask in followed.items():
            edge, relation, rows = self._corpus.manifest.edges[number], self._relations[number], np.flatnonzero(mask)
            source, target = relation.source[rows], relation.target[rows]
            for near, sources in self._positions[relation.source_type].items():
                for far, targets in self._positions[relation.target_type].items():
                    both_ends = (sources[source] >= 0) & (targets[target] >= 0)
                    if not both_ends.any():
                        continue
                    added = _Added(
                        number,
                        (near, f"{self._config.prefix}{edge.edge_type[1]}", far),
                        None if edge.reverse is None else (far, f"{self._config.prefix}{edge.reverse[1]}", near),
                        rows[both_ends],
                        sources[source[both_ends]],
                        targets[target[both_ends]],
                    )
                    for name in added.names:
                        if name in own_edge_types:
                            raise ConfigError(
                                f"prefix: must make new edge types (got '{edge_name(name)}', which the application "
                                f"has already). Choose another prefix than '{self._config.prefix}'"
                            )
                    self._added.append(added)
                    self._report["added_edges"][edge_name(added.edge_type)] = len(added.rows)
                    self._say(f"{edge_name(added.edge_type)}: {counted(len(added.rows), 'edge')} added")

    def _file_names(self) -> tuple[dict[str, str], dict[EdgeType, str]]:
        """Files of the partition by node type and by edge type."""
        edge_types = [edge.edge_type for edge in self._application.manifest.edges]
        for added in self._added:
            edge_types += added.names
        node_names, edge_names = file_names((t,) for t in self._counts), file_names(edge_types)
        node_files = {node_type: f"nodes/{node_names[node_type,]}" for node_type in self._counts}
        edge_files = {edge_type: f"edges/{edge_names[edge_type]}" for edge_type in edge_types}
        return node_files, edge_files

    def write(self, folder: Path) -> Construction:
        """Write the partition and the report into an empty folder."""
        for sub in ("nodes", "edges"):
            (folder / _PART / sub).mkdir(parents=True)
        application, graph = self._application.manifest, Construction()
        node_files, edge_files = self._file_names()

        def write(file: str, columns: Mapping[str, np.ndarray | pa.Array]) -> None:
            self._bytes += write_columns(folder / _PART / file, columns)

        for node_type, node in application.nodes.items():
            graph.nodes[node_type] = node
            write(node_files[node_type], _columns(self._application.nodes(node_type)))
        for node_type, (corpus_type, rows) in self._rows.items():
            node = self._corpus.manifest.nodes[corpus_type]
            graph.nodes[node_type] = node.model_copy(update={"count": len(rows), "labels": {}})
            write(node_files[node_type], _inputs(self._corpus.nodes(corpus_type), rows, ID_COLUMN, TIME_COLUMN))
        for edge in application.edges:
            graph.edges.append(edge)
            write(edge_files[edge.edge_type], _columns(self._application.edges(edge.edge_type)))
            write(indptr_file(edge_files[edge.edge_type]), _columns(self._application.indptr(edge.edge_type)))
        for added in self._added:
            edge = self._corpus.manifest.edges[added.number]
            attributes = Attributes(columns=_inputs(self._corpus.edges(edge.edge_type), added.rows, TIME_COLUMN))
            ways = ((added.source, added.target), (added.target, added.source))
            for name, (source, target) in zip(added.names, ways, strict=False):
                counts = self._counts[name[0]], self._counts[name[2]]
                ordered = sort_edges(source, target, *counts, attributes)
                write(edge_files[name], ordered.columns)
                write(indptr_file(edge_files[name]), {"indptr": ordered.indptr})
                graph.edges.append(
                    EdgeTypeSchema(
                        edge_type=name,
                        count=len(source),
                        features=edge.features,
                        text=edge.text,
                        time=edge.time,
                        reverse=added.edge_type if name != added.edge_type else added.reverse,
                        is_reverse=name != added.edge_type,
                    )
                )
        node_ranges = {name: (0, node.count) for name, node in graph.nodes.items()}
        graph.partitions.append(
            PartitionSchema(
                folder=_PART,
                node_ranges=node_ranges,
                node_files=node_files,
                edge_files={edge_name(edge_type): file for edge_type, file in edge_files.items()},
                bytes=self._bytes,
            )
        )
        left_out = {f"corpus edges: repeat {k} edges": v for k, v in self._report["left_out"].items() if v}
        graph.dropped = {**application.dropped, **left_out}
        with (folder / STITCH_REPORT).open("w", encoding="utf-8") as report:
            json.dump(self._report, report, indent=2)
            report.flush()
            os.fsync(report.fileno())
        return graph


def _columns(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _inputs(batch: pa.RecordBatch, rows: np.ndarray, *more: str) -> dict[str, np.ndarray | pa.Array]:
    """Some rows of the columns that a model reads: features, texts and images, but no labels and no splits."""
    prefixes = (feature_column(""), text_column(""), image_column(""))
    index = pa.array(rows)
    return {n: c.take(index) for n, c in _columns(batch).items() if n in more or n.startswith(prefixes)}
