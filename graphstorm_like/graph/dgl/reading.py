"""Reads and checks a partition folder of DistDGL, as numpy arrays, for `gsl import --from dgl`.

In: <name>.json as `dgl.distributed.partition_graph` and GraphStorm's tools write it, and the files that it names.
Out: ends and tensors of each type in each partition, in the order of DGL's ids, which count through the partitions.
Every count is checked against the configuration. Nothing is unpickled. But DGL's own C++ reader of .dgl files does not
check its input, so that a corrupt file may crash the process: use it on folders that you trust.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.store import IntArray, RowType, type_name

Tensors = dict[RowType, dict[str, npt.NDArray[Any]]]
_REQUIRED = ("graph_name", "num_nodes", "num_edges", "num_parts", "node_map", "edge_map", "ntypes", "etypes")
_UPGRADE = "If the folder is older than DGL 1.0, first run DGL's tools/change_etype_to_canonical_etype.py on it"


class DglFolder:
    """The folder of a partition configuration `<name>.json`. Raises DataError that says what is wrong."""

    def __init__(self, config: str | Path) -> None:
        self.dgl = require_dgl("gsl import --from dgl")
        self.config, self.folder = Path(config), Path(config).parent
        content = self.content = self._read()
        self.num_parts = self._whole("num_parts", least=1)
        self.node_types: list[str] = self._types("ntypes")
        self.edge_types: list[EdgeType] = [self._edge_type(name) for name in self._types("etypes")]
        self.node_map = self._map("node_map", list(self.node_types), "num_nodes")
        self.edge_map = self._map("edge_map", list(self.edge_types), "num_edges")
        self.row_types: list[RowType] = [*self.node_types, *self.edge_types]
        self.files: list[dict[str, Path]] = [self._files(content, p) for p in range(self.num_parts)]

    # -- the configuration ---------------------------------------------------------------------------------------

    def _error(self, what: str, rule: str, got: object, fix: str = "Partition the graph again") -> DataError:
        return DataError(f"{self.config}: {what} must be {rule} (got {got}). {fix}")

    def _read(self) -> dict[str, Any]:
        if not self.config.is_file():
            raise self._error("it", "the JSON file of a DistDGL folder", "no file", "Name <folder>/<graph name>.json")
        try:
            content = json.loads(self.config.read_text(encoding="utf-8"))
        except ValueError as err:
            raise self._error("it", "JSON", err) from None
        missing = [key for key in _REQUIRED if not isinstance(content, dict) or key not in content]
        if missing:
            fix = "Name the JSON file that partition_graph wrote beside the folders part0, part1 ..."
            raise self._error("it", "a partition configuration of DGL", f"no {', '.join(missing)}", fix)
        assert isinstance(content, dict)
        return content

    def _whole(self, key: str, least: int = 0) -> int:
        value = self.content[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self._error(key, f"a whole number of at least {least}", repr(value))
        return value

    def _types(self, key: str) -> list[str]:
        """Names by type id."""
        numbers = self.content[key]
        if not isinstance(numbers, dict) or sorted(numbers.values(), key=repr) != sorted(range(len(numbers)), key=repr):
            raise self._error(key, "names with the numbers 0, 1, 2 ...", repr(numbers))
        return sorted(numbers, key=lambda name: int(numbers[name]))

    def _edge_type(self, name: str) -> EdgeType:
        parts = tuple(name.split(":"))
        if len(parts) != 3:
            raise self._error("an edge type", "'source:relation:target'", repr(name), _UPGRADE)
        for end in (parts[0], parts[2]):
            if end not in self.node_types:
                raise self._error(f"etypes {name}", f"between node types ({', '.join(self.node_types)})", repr(end))
        return parts

    def _map(self, key: str, types: list[RowType], total: str) -> dict[RowType, IntArray]:
        """[P, 2] by type; the ranges are contiguous, type after type within each partition."""
        names, content = [type_name(t) for t in types], self.content[key]
        if not isinstance(content, dict) or set(content) != set(names):
            got = ", ".join(content) if isinstance(content, dict) else type(content).__name__
            raise self._error(key, f"ranges of ids for each type ({', '.join(names)})", got)
        ranges_by_type: dict[RowType, IntArray] = {}
        for t, name in zip(types, names, strict=True):
            try:
                ranges = np.array(content[name])
            except ValueError:
                ranges = np.zeros(0)
            if ranges.shape != (self.num_parts, 2) or not np.issubdtype(ranges.dtype, np.integer):
                rule = f"[start, end] for each of the {self.num_parts} partitions"
                raise self._error(f"{key} of {name}", rule, repr(content[name])[:80], _UPGRADE)
            ranges_by_type[t] = ranges.astype(np.int64)
        at = 0
        for p in range(self.num_parts):
            for t in types:
                start, stop = ranges_by_type[t][p].tolist()
                if start != at or stop < start:
                    rule = f"a range that begins at {at:,}, where the one before it ends"
                    raise self._error(f"{key} of {type_name(t)} in part-{p}", rule, f"[{start:,}, {stop:,}]")
                at = stop
        if at != self._whole(total):
            raise self._error(total, f"{at:,}, as {key} says", f"{self.content[total]:,}")
        return ranges_by_type

    def _files(self, content: dict[str, Any], p: int) -> dict[str, Path]:
        file_names = content.get(f"part-{p}")
        files = {}
        for key in ("part_graph", "node_feats", "edge_feats"):
            if not isinstance(file_names, dict) or not isinstance(file_names.get(key), str):
                raise self._error(f"part-{p}", f"the names of its files, {key} among them", repr(file_names))
            files[key] = self.folder / file_names[key]
            if not files[key].is_file():
                raise DataError(f"{files[key]}: must be there, for {self.config} names it. Copy the whole folder")
        return files

    # -- ids -----------------------------------------------------------------------------------------------------

    def ranges(self, row_type: RowType) -> IntArray:
        """[P, 2] homogeneous ids of a node or edge type."""
        return (self.node_map if isinstance(row_type, str) else self.edge_map)[row_type]

    def starts(self, row_type: RowType) -> IntArray:
        """[P + 1]: partition p holds the ids starts[p]:starts[p + 1] of a type, counted within the type."""
        sizes = np.diff(self.ranges(row_type), axis=1)[:, 0]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])

    def _typed(self, node_type: str, homogeneous: IntArray, where: str) -> IntArray:
        """Ids within the type, of nodes that must have this type."""
        ranges = self.ranges(node_type)
        # An empty range ends where the next one begins: side="right" keeps it from owning ids.
        owner = np.minimum(np.searchsorted(ranges[:, 1], homogeneous, side="right"), self.num_parts - 1)
        offset = homogeneous - ranges[owner, 0]
        wrong = np.flatnonzero((offset < 0) | (homogeneous >= ranges[owner, 1]))
        if wrong.size:
            raise DataError(
                f"{where}: ends must be nodes of type {node_type!r}, as the node_map says "
                f"(got {wrong.size:,} others, e.g. node {int(homogeneous[wrong[0]]):,}). Partition the graph again"
            )
        typed_ids: IntArray = self.starts(node_type)[owner] + offset
        return typed_ids

    # -- files ---------------------------------------------------------------------------------------------------

    def edges(self, p: int) -> dict[EdgeType, tuple[IntArray, IntArray]]:
        """(source ids, target ids) of partition p's own edges of each type, in the order of their ids. Targets are
        the partition's own nodes."""
        path = self.files[p]["part_graph"]
        graph = self._load(self.dgl.data.utils.load_graphs, path)[0]
        if len(graph) != 1 or len(graph[0].ntypes) != 1 or len(graph[0].etypes) != 1:
            raise DataError(f"{path}: must hold one homogeneous graph, as DGL keeps a partition. Partition it again")
        nodes, edges = dict(graph[0].ndata), dict(graph[0].edata)
        nid, eid = self._field(nodes, self.dgl.NID, path), self._field(edges, self.dgl.EID, path)
        inner_node = self._field(nodes, "inner_node", path) != 0
        inner_edge = self._field(edges, "inner_edge", path) != 0
        self._check_ids(nid[inner_node], [self.node_map[t][p] for t in self.node_types], f"{path}: inner nodes")
        self._check_ids(eid[inner_edge], [self.edge_map[t][p] for t in self.edge_types], f"{path}: inner edges")
        source, target = (ends.numpy().astype(np.int64) for ends in graph[0].edges(order="eid"))
        rows = np.flatnonzero(inner_edge)
        rows = rows[np.argsort(eid[rows])]
        source, target = nid[source[rows]], nid[target[rows]]
        first, ends_by_type = int(eid[rows[0]]) if rows.size else 0, {}
        for edge_type in self.edge_types:
            start, stop = (self.edge_map[edge_type][p] - first).tolist()
            where = f"{path}: {type_name(edge_type)}"
            ends = [source[start:stop], target[start:stop]] if stop > start else [source[:0], target[:0]]
            typed_sources, typed_targets = (
                self._typed(t, ids, where) for t, ids in zip(edge_type[::2], ends, strict=True)
            )
            low, high = self.starts(edge_type[2])[p : p + 2]
            if ((typed_targets < low) | (typed_targets >= high)).any():
                raise DataError(f"{where}: targets of inner edges must be inner nodes. Partition the graph again")
            ends_by_type[edge_type] = (typed_sources, typed_targets)
        return ends_by_type

    def tensors(self, p: int) -> Tensors:
        """Tensors of partition p's own nodes and edges: [n, ...] by type and name, in the order of their ids."""
        tensors: Tensors = {t: {} for t in self.row_types}
        type_of_name = {type_name(t): t for t in self.row_types}
        for key in ("node_feats", "edge_feats"):
            path = self.files[p][key]
            for name, tensor in self._load(self.dgl.data.utils.load_tensors, path).items():
                prefix, _, short = name.rpartition("/")
                row_type = type_of_name.get(prefix)
                if row_type is None or isinstance(row_type, str) != (key == "node_feats"):
                    raise DataError(
                        f"{path}: tensors must be named <type>/<name> (got {name!r}; types: "
                        f"{', '.join(type_of_name)}). Partition the graph again"
                    )
                rows = int(np.diff(self.ranges(row_type)[p])[0])
                if tensor.dim() == 0 or tensor.shape[0] != rows:
                    raise DataError(
                        f"{path}: {name} must have {rows:,} rows, as {self.config.name} says "
                        f"(got shape {tuple(tensor.shape)}). Partition the graph again"
                    )
                tensors[row_type][short] = _to_numpy(tensor)
        return tensors

    def has_original_ids(self) -> bool:
        """Whether GraphStorm's or DGL's tools saved the ids from before partitioning."""
        return self._mapping.is_file() or all(path.is_file() for path in self._orig_nids)

    @property
    def _mapping(self) -> Path:
        return self.folder / "node_mapping.pt"

    @property
    def _orig_nids(self) -> list[Path]:
        return [files["part_graph"].with_name("orig_nids.dgl") for files in self.files]

    def original_ids(self) -> dict[str, IntArray] | None:
        """By node type: the id before partitioning of each node, from node_mapping.pt or part<p>/orig_nids.dgl; None
        when they are not there."""
        import torch

        if not self.has_original_ids():
            return None
        ids_by_type: dict[str, Any]
        if self._mapping.is_file():
            # weights_only: reads tensors and dicts of them, and never runs code.
            where, loaded = self._mapping, self._load(lambda path: torch.load(path, weights_only=True), self._mapping)
            ids_by_type = loaded if isinstance(loaded, dict) else {self.node_types[0]: loaded}
        else:
            where = self._orig_nids[0]
            parts = [self._load(self.dgl.data.utils.load_tensors, path) for path in self._orig_nids]
            ids_by_type = {}
            for node_type in self.node_types:
                if all(node_type in part for part in parts):
                    ids_by_type[node_type] = torch.cat([part[node_type] for part in parts])
        for node_type in self.node_types:
            ids, count = ids_by_type.get(node_type), int(self.starts(node_type)[-1])
            if not torch.is_tensor(ids) or tuple(ids.shape) != (count,):
                got = tuple(ids.shape) if torch.is_tensor(ids) else ids
                raise DataError(f"{where}: must hold {count:,} ids of {node_type} (got {got}). Remove or renew it")
        return {t: np.asarray(ids_by_type[t].numpy(), dtype=np.int64) for t in self.node_types}

    def _load(self, load: Any, path: Path) -> Any:
        try:
            return load(str(path))
        except Exception as err:  # DGL raises its DGLError, torch an UnpicklingError; both for any bytes they dislike
            line = (str(err).strip() or type(err).__name__).splitlines()[0]
            raise DataError(f"{path}: must be a file as DGL writes it (got: {line}). Copy it again") from None

    def _field(self, fields: dict[str, Any], name: str, path: Path) -> npt.NDArray[Any]:
        if name not in fields:
            raise DataError(
                f"{path}: must have the field {name!r} (got {', '.join(fields)}). Partition the graph again"
            )
        values: npt.NDArray[Any] = fields[name].numpy()
        return values

    def _check_ids(self, ids: IntArray, ranges: list[IntArray], where: str) -> None:
        """The ids must be those of the contiguous ranges, each exactly once."""
        start, stop = int(ranges[0][0]) if ranges else 0, int(ranges[-1][1]) if ranges else 0
        if len(ids) != stop - start or not np.array_equal(np.sort(ids), np.arange(start, stop)):
            raise DataError(
                f"{where} must be {start:,} to {stop - 1:,}, each once, as {self.config.name} says "
                f"(got {len(ids):,}). The files are of different partitionings: partition the graph again"
            )


def _to_numpy(tensor: Any) -> npt.NDArray[Any]:
    """float16 and bfloat16 become float32."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    values: npt.NDArray[Any] = tensor.numpy()
    return values
