"""A partition folder of DistDGL -> a graph folder of as many partitions.

Node ids are the same in both, and each edge stays in the partition of its target; halo copies are dropped. Rows of an
edge type are sorted by target, so edge ids change. Memory: one partition with its features at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gconstruct.csc import position_dtype
from gconstruct.dgl.plan import Plan, RowType, Wishes, plan, plan_from, read_sidecar, summary, survey, written
from gconstruct.encoding.table import no_labels
from gconstruct.manifest import Construction, write_manifest
from gconstruct.problems import counted
from gconstruct.splits import split_counts
from gconstruct.write import file_names, write_columns
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import file_hash, new_folder, recover_target
from graphstorm_like.graph.bfloat16 import to_bits
from graphstorm_like.graph.dgl.reading import DglFolder
from graphstorm_like.graph.dgl.tensors import SIDECAR
from graphstorm_like.graph.schema import (
    HARD_NEGATIVES_COLUMN,
    ID_COLUMN,
    NO_CLASSES,
    NO_LABEL,
    SCHEMA_VERSION,
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    TIME_COLUMN,
    EdgeTypeSchema,
    FeatureSchema,
    GraphManifest,
    LabelSchema,
    NodeTypeSchema,
    PartitionSchema,
    feature_column,
    indptr_file,
    label_column,
    label_split_column,
)
from graphstorm_like.graph.sparse import SparseRows, column_of
from graphstorm_like.hashing import hash_facts

IMPORT_VERSION = 3
"""To be raised when the same folder gives another graph."""
Columns = dict[str, np.ndarray | pa.Array]
RAW_IDS = "raw_id_mappings"
"""Where GraphStorm keeps the user's ids, beside the partition configuration."""
_ID_COLUMNS = (("orig", "new"), ("node_str_id", "node_int_id"))
"""The user's id, and its number before partitioning: as GraphStorm's construction writes them, and as GSProcessing."""


def import_dgl(
    config: str | Path,
    target: str | Path,
    progress: Callable[[str], None] | None = None,
    *,
    labels: Sequence[str] = (),
    features: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    reverse: Sequence[tuple[str, str]] = (),
    id_mapping: str | Path | None = None,
) -> GraphManifest:
    """Write the DistDGL folder of the partition configuration `config` as the graph folder `target`; its manifest.

    labels, features, leave_out: names `type/tensor`; reverse: pairs of edge types. See Wishes. id_mapping: folder of
    Parquet files <node type>/*.parquet with the user's ids; raw_id_mappings beside `config` is found. `target` must
    not exist, or be empty; it appears whole or not at all. Raises ConfigError, DataError, and MissingExtraError
    without dgl.
    """
    say = progress or (lambda _: None)
    started, path = time.perf_counter(), Path(target).absolute()
    folder = DglFolder(config)
    recover_target(path)
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise DataError(f"{path}: must not exist yet (got something there). Remove it, or name another target")
    sidecar, tensors = read_sidecar(folder), survey(folder)
    wishes = Wishes(tuple(labels), tuple(features), tuple(leave_out), tuple(reverse))
    if sidecar is not None and (wishes != Wishes() or id_mapping is not None):
        raise ConfigError(
            f"{folder.folder / SIDECAR}: says what every tensor is, so that --label, --leave-out, --reverse and "
            "--id-mapping must not be given. Remove it to decide anew"
        )
    new_plan = plan_from(sidecar, folder, tensors) if sidecar is not None else plan(folder, tensors, wishes)
    for line in [*summary(new_plan), *new_plan.notes]:
        say(line)
    mapping = None if id_mapping is None else Path(id_mapping)
    if mapping is None and sidecar is None and (beside := folder.folder / RAW_IDS).is_dir():
        mapping = beside if folder.num_parts == 1 or folder.has_original_ids() else None
    mark = _fingerprint(folder, wishes, mapping)
    try:
        with new_folder(path) as new:
            manifest = write_manifest(new, mark, _Import(folder, new_plan, mapping, new).write(say))
    except OSError as err:
        raise DataError(
            f"{path}: the graph folder must be writable (got {err.strerror or err}: {err.filename or path}). "
            "Check the disk and its permissions, or name another target"
        ) from err
    say(
        f"{path}: {counted(manifest.num_nodes, 'node')}, {counted(manifest.num_edges, 'edge')} in "
        f"{counted(len(manifest.partitions), 'partition')} ({time.perf_counter() - started:.1f} s)"
    )
    return manifest


def _fingerprint(folder: DglFolder, wishes: Wishes, mapping: Path | None) -> str:
    stats: list[list[int]] = []
    for files in folder.files:
        stats += [[path.stat().st_size, path.stat().st_mtime_ns] for path in files.values()]
    content = {
        "config": file_hash(folder.config),
        "files": stats,
        "wishes": asdict(wishes),
        "mapping": None if mapping is None else str(mapping),
        "versions": [SCHEMA_VERSION, IMPORT_VERSION],
    }
    return hash_facts(content)


class _Import:
    """The import of one folder."""

    def __init__(self, folder: DglFolder, new_plan: Plan, mapping: Path | None, new: Path) -> None:
        self._from, self._plan, self._mapping, self._new = folder, new_plan, mapping, new
        self._node_files = file_names((t,) for t in folder.node_types)
        self._edge_files = file_names(folder.edge_types)
        self._splits: dict[RowType, dict[str, np.ndarray]] = {t: {} for t in folder.row_types}
        """By split column, rows per split [4]; for splits of labels, only rows with a label."""
        self._id_types: dict[str, Literal["string", "int64"]] = {}
        self._bytes = 0

    def write(self, say: Callable[[str], None]) -> Construction:
        """Write all partitions into the new folder."""
        folder = self._from
        ids, mirrored = self._ids(say), self._mirrored()
        partitions = []
        for p in range(folder.num_parts):
            self._bytes = 0
            for sub in ("nodes", "edges"):
                (self._new / f"part-{p}" / sub).mkdir(parents=True)
            tensors = folder.tensors(p)
            for t in folder.node_types:
                start, stop = folder.starts(t)[p : p + 2].tolist()
                columns = {ID_COLUMN: ids[t][start:stop], **self._columns(t, tensors[t], stop - start)}
                self._write(p, f"nodes/{self._node_files[t,]}", columns)
            for edge_type, ends in folder.edges(p).items():
                start, stop = folder.starts(edge_type)[p : p + 2].tolist()
                columns = self._columns(edge_type, tensors[edge_type], stop - start)
                columns |= {name: values[start:stop] for name, values in mirrored.get(edge_type, {}).items()}
                self._count(edge_type, columns)
                self._write_edges(p, edge_type, *ends, columns)
            partitions.append(self._partition(p))
            say(f"part-{p}: {self._bytes / 1e6:,.1f} MB")
        schemas = {t: self._counted(t, schema) for t, schema in self._plan.schemas.items()}
        graph = Construction(partitions=partitions, dropped=self._plan.dropped)
        for row_type, schema in schemas.items():
            if isinstance(schema, EdgeTypeSchema):
                graph.edges.append(schema)
            elif isinstance(row_type, str):
                graph.nodes[row_type] = schema
        return graph

    def _write(self, p: int, file: str, columns: Columns) -> None:
        self._bytes += write_columns(self._new / f"part-{p}" / file, columns)

    def _write_edges(
        self, p: int, edge_type: EdgeType, source: np.ndarray, target: np.ndarray, columns: Columns
    ) -> None:
        start, stop = self._from.starts(edge_type[2])[p : p + 2].tolist()
        order = np.argsort(target, kind="stable")  # an exported folder comes back with its edges in their old order
        indptr = np.concatenate([[0], np.cumsum(np.bincount(target - start, minlength=stop - start), dtype=np.int64)])
        counts = [int(self._from.starts(t)[-1]) for t in edge_type[::2]]
        kind = position_dtype(*counts)
        rows: Columns = {SOURCE_COLUMN: source[order].astype(kind), TARGET_COLUMN: target[order].astype(kind)}
        for name, values in columns.items():
            rows[name] = values[order] if isinstance(values, np.ndarray) else values.take(pa.array(order))
        file = f"edges/{self._edge_files[edge_type]}"
        self._write(p, file, rows)
        self._write(p, indptr_file(file), {"indptr": indptr.astype(np.int64)})

    def _partition(self, p: int) -> PartitionSchema:
        def ranges(row_type: RowType) -> tuple[int, int]:
            start, stop = self._from.starts(row_type)[p : p + 2].tolist()
            return start, stop

        node_ranges = {t: ranges(t) for t in self._from.node_types}
        node_files = {t: f"nodes/{self._node_files[t,]}" for t in self._from.node_types}
        edge_ranges, edge_files = {}, {}
        for edge_type in self._from.edge_types:
            name = edge_name(edge_type)
            edge_files[name] = f"edges/{self._edge_files[edge_type]}"
            if self._from.num_parts > 1:
                edge_ranges[name] = ranges(edge_type)
        return PartitionSchema(
            folder=f"part-{p}",
            node_ranges=node_ranges,
            edge_ranges=edge_ranges,
            node_files=node_files,
            edge_files=edge_files,
            bytes=self._bytes,
        )

    # -- columns -------------------------------------------------------------------------------------------------

    def _columns(self, row_type: RowType, tensors: dict[str, np.ndarray], rows: int) -> Columns:
        """Features, labels and splits of `rows` rows, in the order of DGL's ids."""
        schema, names = self._plan.schemas[row_type], self._plan.names[row_type]
        out: Columns = {}
        for name, feature in schema.features.items():
            values = tensors.get(names.columns[feature_column(name)]) if rows else None
            shape = (rows, feature.width)
            numbers = np.zeros(shape, np.float32) if values is None else values.reshape(shape).astype(np.float32)
            out[feature_column(name)] = _stored(numbers, feature)
        for name, label in schema.labels.items():
            if label_column(name) in names.columns:
                values = tensors.get(names.columns[label_column(name)]) if rows else None
                out[label_column(name)] = self._label(label, values, rows, f"{written(row_type)}/{name}")
        if TIME_COLUMN in names.columns:
            dtype = np.int64 if schema.time is not None and schema.time.kind == "moment" else np.float64
            out[TIME_COLUMN] = tensors[names.columns[TIME_COLUMN]].astype(dtype) if rows else np.zeros(0, dtype)
        if isinstance(schema, EdgeTypeSchema) and HARD_NEGATIVES_COLUMN in names.columns:
            negatives = tensors[names.columns[HARD_NEGATIVES_COLUMN]] if rows else np.zeros(0)
            kind = position_dtype(int(self._from.starts(schema.edge_type[2])[-1]))
            out[HARD_NEGATIVES_COLUMN] = negatives.reshape(rows, schema.hard_negatives).astype(kind)
        for column, masks in names.masks.items():
            out[column] = self._split(row_type, masks, tensors, rows)
        for name, label in schema.labels.items():
            if label_split_column(name) in out:
                out[label_split_column(name)][_unlabelled(label, out[label_column(name)])] = 0
        if isinstance(row_type, str):
            self._count(row_type, out)
        return out

    def _label(self, label: LabelSchema, values: np.ndarray | None, rows: int, what: str) -> np.ndarray:
        if values is None:
            return no_labels(label, rows)
        if label.kind == "classes":
            return self._classes(label, values, what)
        values = values.reshape(rows)
        if label.kind == "number":
            with np.errstate(over="ignore"):
                numbers = values.astype(np.float32)
            infinite = np.flatnonzero(np.isinf(numbers))
            if infinite.size:
                raise DataError(
                    f"{self._from.config}: {what} must be finite, or NaN for no label, as float32 "
                    f"(got {values[infinite[0]]:.2g}). Correct it, or leave it out"
                )
            return numbers
        if len(values) and values.max() >= len(label.classes):
            raise DataError(f"{self._from.config}: {what} must be below {len(label.classes)} (got {values.max()})")
        return np.where(values < 0, NO_LABEL, values).astype(np.int32)

    def _classes(self, label: LabelSchema, values: np.ndarray, what: str) -> np.ndarray:
        """Labels of several classes, uint8 [n, classes]."""
        rule = f"0 or 1 for each of {counted(len(label.classes), 'class', 'classes')}, or a row of {NO_CLASSES}"
        where = f"{self._from.config}: {what}"
        if values.shape[1:] != (len(label.classes),):
            raise DataError(f"{where} must be {rule} (got rows of shape {values.shape[1:]})")
        wrong = np.flatnonzero(~(np.isin(values, (0, 1)).all(axis=1) | (values == NO_CLASSES).all(axis=1)))
        if wrong.size:
            raise DataError(f"{where} must be {rule} (got {values[wrong[0]].tolist()} in row {wrong[0]:,})")
        return values.astype(np.uint8)

    def _split(self, row_type: RowType, masks: dict[str, str], tensors: dict[str, np.ndarray], rows: int) -> np.ndarray:
        split = np.zeros(rows, np.uint8)
        for name, tensor in masks.items() if rows else ():
            mask = tensors[tensor].reshape(rows, -1)
            if mask.shape[1] != 1 or not np.isin(mask, (0, 1)).all():
                raise DataError(f"{self._from.config}: {written(row_type)}/{tensor} must be a mask: one 0 or 1 a row")
            in_split = mask[:, 0] != 0
            overlap = int(np.count_nonzero(in_split & (split > 0)))
            if overlap:
                raise DataError(
                    f"{self._from.config}: masks of {written(row_type)} must not overlap (got "
                    f"{counted(overlap, 'row')} in {tensor} and in another). Mend the masks, or leave one out: "
                    f"--leave-out takes a tensor's name"
                )
            split[in_split] = SPLITS.index(name)
        return split

    def _count(self, row_type: RowType, columns: Columns) -> None:
        labels = {label_split_column(n): (label_column(n), s) for n, s in self._plan.schemas[row_type].labels.items()}
        for column, values in columns.items():
            if column == SPLIT_COLUMN or column in labels:
                if column in labels:
                    of, schema = labels[column]
                    values = values[~_unlabelled(schema, columns[of])]
                counts = np.bincount(values, minlength=len(SPLITS))
                self._splits[row_type][column] = self._splits[row_type].get(column, 0) + counts

    def _counted(self, row_type: RowType, schema: NodeTypeSchema | EdgeTypeSchema) -> NodeTypeSchema | EdgeTypeSchema:
        """The schema with the counts of what was written."""
        no_rows, counts = split_counts(np.zeros(0, np.uint8)), {}
        for column, rows_by_split in self._splits[row_type].items():
            counts[column] = dict(zip(SPLITS, rows_by_split.tolist(), strict=True))
        labels = {
            name: label.model_copy(update={"counts": counts.get(label_split_column(name), no_rows)})
            for name, label in schema.labels.items()
        }
        changes: dict[str, Any] = {"labels": labels}
        if isinstance(schema, EdgeTypeSchema) and schema.split_counts is not None:
            changes["split_counts"] = counts.get(SPLIT_COLUMN, no_rows)
        if isinstance(row_type, str):
            changes["id_type"] = self._id_types[row_type]
        return schema.model_copy(update=changes)

    # -- reverse types -------------------------------------------------------------------------------------------

    def _mirrored(self) -> dict[EdgeType, Columns]:
        """For reverse types of a foreign folder: labels and splits of their edges, by DGL's id of the reverse edge."""
        pairs: dict[EdgeType, EdgeType] = {}
        for schema in self._plan.schemas.values():
            if isinstance(schema, EdgeTypeSchema) and schema.reverse and not schema.is_reverse:
                pairs[schema.reverse] = schema.edge_type
        if not pairs or self._plan.ids is not None:
            return {}
        edge_types = {*pairs, *pairs.values()}
        keys: dict[EdgeType, list[np.ndarray]] = {t: [] for t in edge_types}
        columns: dict[EdgeType, list[Columns]] = {t: [] for t in pairs.values()}
        for p in range(self._from.num_parts):
            tensors = self._from.tensors(p)
            for edge_type, (source, target) in self._from.edges(p).items():
                if edge_type in pairs:  # the key of an edge is that of its forward form
                    source, target = target, source
                if edge_type in edge_types:
                    forward = pairs.get(edge_type, edge_type)
                    keys[edge_type].append(source * int(self._from.starts(forward[2])[-1]) + target)
                if edge_type in columns:
                    of_part = self._columns(edge_type, tensors[edge_type], len(source))
                    carried = {n: v for n, v in of_part.items() if not n.startswith("feature:")}
                    columns[edge_type].append(carried)
        out: dict[EdgeType, Columns] = {}
        for reverse, forward in pairs.items():
            forward_keys, reverse_keys = (np.concatenate(keys[t]) for t in (forward, reverse))
            from_row, to_row = (np.argsort(k, kind="stable") for k in (forward_keys, reverse_keys))
            if not np.array_equal(forward_keys[from_row], reverse_keys[to_row]):
                raise DataError(
                    f"--reverse {edge_name(forward)},{edge_name(reverse)}: must hold the same edges, ends swapped "
                    "(got others). Leave the pair out, or make the reverse edges again"
                )
            out[reverse] = {}
            for name in columns[forward][0]:
                values = np.concatenate([c[name] for c in columns[forward]])
                out[reverse][name] = np.empty_like(values)
                out[reverse][name][to_row] = values[from_row]
        return out

    # -- ids -----------------------------------------------------------------------------------------------------

    def _ids(self, say: Callable[[str], None]) -> dict[str, pa.Array]:
        """The user's ids by node type; where there are none, the int64 ids before partitioning, or else DGL's."""
        folder, ids_by_type = self._from, {}
        original = None if self._plan.ids is not None else folder.original_ids()
        for t in folder.node_types:
            count = int(folder.starts(t)[-1])
            if self._plan.ids is not None:
                ids_by_type[t] = self._exported(folder.folder / self._plan.ids[t], count)
                continue
            numbers = np.arange(count) if original is None else original[t]
            files = [] if self._mapping is None else _mapping_files(self._mapping, t)
            if files and original is None and folder.num_parts > 1:
                raise DataError(
                    f"{self._mapping}: ids before partitioning must be known to use it (got neither node_mapping.pt "
                    f"nor part0/orig_nids.dgl in {folder.folder}). Copy them there, or leave out --id-mapping"
                )
            ids_by_type[t] = _mapped(files, numbers, t) if files else pa.array(numbers.astype(np.int64))
            source = "DGL's" if original is None else "those before partitioning"
            say(f"{t}: ids are {self._mapping if files else source}")
        self._id_types = {t: "int64" if pa.types.is_integer(ids.type) else "string" for t, ids in ids_by_type.items()}
        return ids_by_type

    def _exported(self, path: Path, count: int) -> pa.Array:
        ids = _read(path, [ID_COLUMN]).column(ID_COLUMN)
        if len(ids) != count:
            raise DataError(f"{path}: must have {count:,} ids (got {len(ids):,}). Export the graph again")
        return _whole(ids)


def _stored(numbers: np.ndarray, feature: FeatureSchema) -> np.ndarray | pa.Array:
    """float32 [n, width] as it is stored. Only features of an exported folder are sparse, or have another dtype."""
    if feature.sparse:
        rows, indices = np.nonzero(numbers)
        offsets = np.searchsorted(rows, np.arange(len(numbers) + 1)).astype(np.int64)
        return column_of(SparseRows(offsets, indices, numbers[rows, indices], feature.width), feature.dtype)
    if feature.dtype == "bfloat16":
        return to_bits(numbers)
    return numbers.astype(np.float16) if feature.dtype == "float16" else numbers


def _unlabelled(label: LabelSchema, values: Any) -> np.ndarray:
    if label.kind == "classes":
        return np.asarray(values[:, 0] == NO_CLASSES)
    missing: np.ndarray = values == NO_LABEL if label.kind == "class" else np.isnan(values)
    return missing


def _mapping_files(folder: Path, node_type: str) -> list[Path]:
    """Files of a node type; none if its ids were whole numbers from the start. DataError when there is no folder."""
    if not folder.is_dir():
        raise DataError(f"{folder}: --id-mapping must be a folder of <node type>/*.parquet (got none there)")
    return sorted((folder / node_type).glob("*.parquet")) or sorted(folder.glob(f"{node_type}.parquet"))


def _mapped(files: Sequence[Path], numbers: np.ndarray, node_type: str) -> pa.Array:
    """The user's ids of the nodes with these numbers (before partitioning)."""
    tables = []
    for path in files:
        names = pq.ParquetFile(path).schema_arrow.names
        pair = next((pair for pair in _ID_COLUMNS if set(pair) <= set(names)), None)
        if pair is None:
            raise DataError(f"{path}: must have the columns orig and new (got {', '.join(names)})")
        tables.append(_read(path, list(pair)).select(list(pair)).rename_columns(["user", "number"]))
    table = pa.concat_tables(tables)
    rows = pc.index_in(pa.array(numbers), value_set=_whole(table.column("number").cast(pa.int64())))
    if rows.null_count:
        first = int(numbers[int(np.flatnonzero(rows.is_null())[0])])
        raise DataError(
            f"{files[0].parent}: must have an id for every node of {node_type} "
            f"(got none for {rows.null_count:,}, e.g. number {first:,}). It is of another graph"
        )
    return _whole(table.column("user").take(rows))


def _read(path: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowInvalid) as err:
        raise DataError(f"{path}: must be a Parquet file of ids ({err}). Copy the whole folder") from None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """One array: int64, or large_string for anything else."""
    kind = pa.int64() if pa.types.is_integer(column.type) else pa.large_string()
    array = column.cast(kind).combine_chunks()
    if isinstance(array, pa.Array) and not isinstance(array, pa.ChunkedArray):
        return array
    return pa.concat_arrays(array.chunks)
