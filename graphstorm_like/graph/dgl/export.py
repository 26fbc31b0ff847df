"""A graph folder -> a partition folder of DistDGL 1.1.3, which `load_partition`, DistGraph and its servers read.

    <name>.json  part<p>/graph.dgl  part<p>/node_feat.dgl  part<p>/edge_feat.dgl  ids/<node type>.parquet

Our ids within a type equal DGL's: both count through the partitions in order. DGL's homogeneous ids count through the
types within each partition. In both formats an edge lies with its target; sources in other partitions become halo
nodes.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.errors import DataError
from graphstorm_like.files import TEMPORARY, fsync_path, replace_folder
from graphstorm_like.graph.bfloat16 import from_bits
from graphstorm_like.graph.dgl.local_nodes import LocalNodes, joined, starts_of
from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.dgl.tensors import SIDECAR, Sidecar, TensorNames, check_name, tensor_names
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_reader import Partition
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    GraphManifest,
    NodeTypeSchema,
    feature_column,
)
from graphstorm_like.graph.sparse import rows_of
from graphstorm_like.graph.store import IntArray, RowType, type_name

NAME = "graph"
"""Name of the exported graph: the first argument of DistGraph."""
Progress = Callable[[str], None]


def export_dgl(source: str | Path, target: str | Path, progress: Progress | None = None, name: str = NAME) -> Path:
    """Write the graph folder `source` as the DistDGL folder `target`; returns <target>/<name>.json.

    `target` must not exist, or be empty; it is written completely or not at all. Texts and images are left out, and
    `progress` gets a line about each type that has some. Raises DataError, and MissingExtraError without dgl.
    """
    say = progress or (lambda _: None)
    dgl = require_dgl("gsl export --to dgl")
    started, folder = time.perf_counter(), Path(target).absolute()
    graph = LocalGraph(source)
    check_name(name, "graph name")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise DataError(f"{target}: must not exist yet (got something there). Remove it, or name another folder")
    writer = _Export(graph, dgl, name)
    for line in writer.left_out():
        say(line)
    new = folder.parent / f"{TEMPORARY}{folder.name}-{os.getpid()}"
    try:
        new.mkdir(parents=True)
        writer.write(new, say)
        for path in [*new.rglob("*")]:
            fsync_path(path)
        replace_folder(new, folder)
    except OSError as err:
        raise DataError(f"{target}: must be writable (got {err.strerror or err}). Check the disk") from err
    finally:
        shutil.rmtree(new, ignore_errors=True)
    manifest = graph.manifest
    say(
        f"{target}: {manifest.num_nodes:,} nodes, {manifest.num_edges:,} edges in {len(manifest.partitions)} "
        f"partitions, DistGraph({name!r}) ({time.perf_counter() - started:.1f} s)"
    )
    return folder / f"{name}.json"


class _Export:
    """The export of one graph."""

    def __init__(self, graph: LocalGraph, dgl: Any, name: str) -> None:
        self.graph, self.dgl, self.name = graph, dgl, name
        manifest = self.manifest = graph.manifest
        self.row_types: list[RowType] = [*manifest.nodes, *(e.edge_type for e in manifest.edges)]
        self.node_types, self.edge_types = list(manifest.nodes), [e.edge_type for e in manifest.edges]
        self.names: dict[str, TensorNames] = {}
        for row_type in self.row_types:
            for part in (row_type,) if isinstance(row_type, str) else row_type:
                check_name(part, type_name(row_type))
            schema = manifest.node(row_type) if isinstance(row_type, str) else manifest.edge(row_type)
            self.names[type_name(row_type)] = tensor_names(schema, type_name(row_type))
        self.node_map, self.edge_map = self._ranges(self.node_types), self._ranges(self.edge_types)

    def left_out(self) -> list[str]:
        """One line for each type that has texts or images."""
        columns_by_type: dict[str, list[str]] = {
            name: [*node.text, *node.image] for name, node in self.manifest.nodes.items()
        }
        columns_by_type |= {edge_name(edge.edge_type): list(edge.text) for edge in self.manifest.edges}
        why = "left out, because DGL holds neither texts nor images"
        return [f"{name}: {why}: {', '.join(columns)}" for name, columns in columns_by_type.items() if columns]

    def _ranges(self, types: list[Any]) -> dict[RowType, IntArray]:
        """[P, 2] by type: homogeneous ids, through the types within each partition."""
        starts = np.zeros((0, len(self.graph.parts) + 1))
        if types:
            starts = np.stack([self.graph.starts(t) for t in types])
        sizes = np.diff(starts.astype(np.int64), axis=1).T
        ends = np.cumsum(sizes.reshape(-1)).reshape(sizes.shape)
        return {t: np.stack([ends[:, i] - sizes[:, i], ends[:, i]], axis=1) for i, t in enumerate(types)}

    # -- files ---------------------------------------------------------------------------------------------------

    def write(self, folder: Path, say: Progress) -> None:
        """Write everything into an empty folder."""
        config = self._config()
        for p, part in enumerate(self.graph.parts):
            assert isinstance(part, Partition)
            files = {key: f"part{p}/{file}.dgl" for key, file in _FILES.items()}
            (folder / f"part{p}").mkdir()
            graph = self._part_graph(p, part)
            self.dgl.data.utils.save_graphs(str(folder / files["part_graph"]), [graph], formats=["coo", "csc"])
            for key, types in (("node_feats", self.node_types), ("edge_feats", self.edge_types)):
                tensors: dict[str, Any] = {}
                for row_type in types:
                    tensors |= self._tensors(part, row_type)
                self.dgl.data.utils.save_tensors(str(folder / files[key]), tensors)
            config[f"part-{p}"] = files
            say(f"part {p}: {graph.num_nodes():,} nodes with halo, {graph.num_edges():,} edges")
        sidecar = Sidecar(
            nodes=_as_exported(self.manifest).nodes,
            edges=_as_exported(self.manifest).edges,
            tensors=self.names,
            ids=self._write_ids(folder),
            dropped=self.manifest.dropped,
        )
        (folder / SIDECAR).write_text(sidecar.model_dump_json(indent=2) + "\n", encoding="utf-8")
        # load_partition lists the types in the order of these keys.
        (folder / f"{self.name}.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    def _config(self) -> dict[str, Any]:
        manifest = self.manifest
        node_map = {type_name(t): ranges.tolist() for t, ranges in self.node_map.items()}
        edge_map = {type_name(t): ranges.tolist() for t, ranges in self.edge_map.items()}
        type_numbers = {name: i for i, name in enumerate(self.node_types)}
        edge_type_numbers = {edge_name(t): i for i, t in enumerate(self.edge_types)}
        return {
            "graph_name": self.name,
            "num_nodes": manifest.num_nodes,
            "num_edges": manifest.num_edges,
            "part_method": "graphstorm-like",
            "num_parts": len(manifest.partitions),
            "halo_hops": 1,
            "node_map": node_map,
            "edge_map": edge_map,
            "ntypes": type_numbers,
            "etypes": edge_type_numbers,
        }

    def _write_ids(self, folder: Path) -> dict[str, str]:
        """The user's own ids: one Parquet file per node type, with columns id and dgl_id."""
        (folder / "ids").mkdir()
        files = {}
        for number, node_type in enumerate(self.node_types):
            files[node_type] = f"ids/{number}-{node_type}.parquet"
            ids = self.graph.ids(node_type)
            table = pa.table({"id": ids, "dgl_id": pa.array(np.arange(len(ids), dtype=np.int64))})
            pq.write_table(table, folder / files[node_type])
        return files

    # -- one partition -------------------------------------------------------------------------------------------

    def _part_graph(self, p: int, part: Partition) -> Any:
        """DGL's graph of a partition: inner nodes by type, then halo nodes by type; edges by type, in our order."""
        import torch

        own: dict[str, tuple[int, int]] = {}
        for t in self.node_types:
            start, stop = self.graph.starts(t)[p : p + 2].tolist()
            own[t] = (start, stop)
        ends: dict[EdgeType, tuple[IntArray, IntArray]] = {}
        for edge_type in self.edge_types:
            source, target = part.column((edge_type, SOURCE_COLUMN)), part.column((edge_type, TARGET_COLUMN))
            ends[edge_type] = (source.astype(np.int64), target.astype(np.int64))
        sources_by_type: dict[str, list[IntArray]] = {t: [] for t in self.node_types}
        for edge_type in self.edge_types:
            sources_by_type[edge_type[0]].append(ends[edge_type][0])
        nodes = LocalNodes(own, sources_by_type)
        inner_starts, halo_starts, halo = nodes.inner_starts, nodes.halo_starts, nodes.halo

        sources = joined([nodes.numbers(e[0], ends[e][0]) for e in self.edge_types])
        targets = joined([nodes.numbers(e[2], ends[e][1]) for e in self.edge_types])
        # Sorted by target, then by edge type, as DGL's typed sampler needs it; edge ids stay in the order of our rows.
        order = np.argsort(targets, kind="stable")
        num_nodes = nodes.count
        indptr = starts_of(np.bincount(targets, minlength=num_nodes))
        csc = tuple(torch.from_numpy(a) for a in (indptr, sources[order], order))
        graph = self.dgl.graph(("csc", csc), num_nodes=num_nodes)
        assert graph.num_edges() == len(order)

        types = np.arange(len(self.node_types))
        of_node = np.concatenate([np.repeat(types, np.diff(inner_starts)), np.repeat(types, np.diff(halo_starts))])
        owners = [np.searchsorted(self.graph.starts(t), halo[t], side="right") - 1 for t in self.node_types]
        homogeneous = [self._homogeneous(t, halo[t]) for t in self.node_types]
        inner_ids = [np.arange(*self.node_map[t][p]) for t in self.node_types]
        inner = np.arange(num_nodes) < inner_starts[-1]
        graph.ndata[self.dgl.NID] = torch.from_numpy(joined([*inner_ids, *homogeneous]))
        graph.ndata[self.dgl.NTYPE] = torch.from_numpy(of_node.astype(np.int32))
        graph.ndata["inner_node"] = torch.from_numpy(inner.astype(np.uint8))
        graph.ndata["part_id"] = torch.from_numpy(joined([np.full(int(inner_starts[-1]), p), *owners]))
        of_edge = np.repeat(np.arange(len(self.edge_types)), [len(ends[e][0]) for e in self.edge_types])
        graph.edata[self.dgl.EID] = torch.from_numpy(joined([np.arange(*self.edge_map[e][p]) for e in self.edge_types]))
        graph.edata[self.dgl.ETYPE] = torch.from_numpy(of_edge.astype(np.int32))
        graph.edata["inner_edge"] = torch.ones(graph.num_edges(), dtype=torch.uint8)
        return graph

    def _homogeneous(self, node_type: str, ids: IntArray) -> IntArray:
        starts = self.graph.starts(node_type)
        owner = np.searchsorted(starts, ids, side="right") - 1
        homogeneous_ids: IntArray = self.node_map[node_type][owner, 0] + ids - starts[owner]
        return homogeneous_ids

    def _tensors(self, part: Partition, row_type: RowType) -> dict[str, Any]:
        """Features float32 [n, width], class labels int64 [n] (-1: none), labels of several classes uint8 [n, classes]
        (a row of 255: none), numbers float32 [n] (NaN: none), times int64 or float64 [n], hard negatives int64 [n, k]
        (-1: fewer), masks uint8 [n]: DGL's servers return bool as uint8 anyway."""
        import torch

        names, prefix, tensors = self.names[type_name(row_type)], type_name(row_type), {}
        of_type = self.manifest.node(row_type) if isinstance(row_type, str) else self.manifest.edge(row_type)
        sparse = {feature_column(name): of.width for name, of in of_type.features.items() if of.sparse}
        for column, tensor in names.columns.items():
            values: npt.NDArray[Any] = part.column((row_type, column))
            if column in sparse:
                values = np.asarray(rows_of(values, sparse[column]))
            if values.dtype == np.uint16:  # only bfloat16 columns are
                values = from_bits(values)
            dtype = _TENSOR_DTYPES.get(values.dtype.name, values.dtype.name)
            tensors[f"{prefix}/{tensor}"] = torch.from_numpy(values.astype(dtype))
        for column, masks in names.masks.items():
            splits = part.column((row_type, column))
            for split, tensor in masks.items():
                tensors[f"{prefix}/{tensor}"] = torch.from_numpy((splits == SPLITS.index(split)).astype(np.uint8))
        return tensors


_TENSOR_DTYPES = {"int32": "int64", "float16": "float32"}
"""Other columns keep their dtype."""
_FILES = {"node_feats": "node_feat", "edge_feats": "edge_feat", "part_graph": "graph"}


def _as_exported(manifest: GraphManifest) -> GraphManifest:
    """Without texts and images."""
    nodes: dict[str, NodeTypeSchema] = {}
    for name, node in manifest.nodes.items():
        nodes[name] = node.model_copy(update={"text": {}, "image": {}})
    edges = [edge.model_copy(update={"text": {}}) for edge in manifest.edges]
    return manifest.model_copy(update={"nodes": nodes, "edges": edges})
