"""Reads one partition of a graph folder, memory-mapped: sampled edges, rows and columns. Row numbers count within the
partition.

Only the pages that are touched are read from disk. Only the message graphs of edge types whose validation or test edges
are hidden from training are held in memory, and those of which temporal samples are drawn: edges stand by target and
source in the files, not by time. Several threads may use a partition at once.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.bfloat16 import from_bits
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.sample import sample_hop
from graphstorm_like.graph.sample_past import TimedMessages, sample_past
from graphstorm_like.graph.sample_weighted import Weights, sample_weighted
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    TIME_COLUMN,
    GraphManifest,
    feature_column,
    indptr_file,
    label_split_column,
)
from graphstorm_like.graph.shared import Ragged, SharedRows, find, is_there
from graphstorm_like.graph.sparse import is_sparse
from graphstorm_like.graph.store import ExcludedEdges, Hop, IntArray, NodeType, RowType, type_name
from graphstorm_like.pending import Pending

HIDDEN_SPLITS = (SPLITS.index("valid"), SPLITS.index("test"))
SHARED = "shared:"
VECTORS = "vectors:"
"""Beginning of the names of shared tables whose rows are inputs of the model and never change."""
DEGREES, HIDDEN = "degrees", "hidden"
"""Columns that are in no file: in-degrees of targets in the message graph; which edges are excluded from message
passing (bool)."""

Column: TypeAlias = tuple[RowType, str]
"""(node or edge type, column): of its Arrow table, DEGREES or HIDDEN, or SHARED + the name of a shared table."""


class Part(Protocol):
    """What a graph needs of a partition, on this host or another. `begin_...` starts a read and returns a Pending
    result, so that several partitions work at once. Hops have global source ids; edge ids are rows of the partition."""

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """One hop per request. seed: of the layer; what is drawn for a node depends on it, the edge type and the node,
        not on who asks, nor on what else is asked."""
        ...

    def begin_rows(self, column: Column, rows: IntArray) -> Pending[Any]:
        """Some rows of a column: numpy [n] or [n, width], or an Arrow array of strings."""
        ...

    def begin_ragged(self, column: Column, rows: IntArray, values: bool) -> Pending[Ragged]:
        """The items of some rows of a shared table; values: with the numbers in them."""
        ...

    def column(self, column: Column) -> Any:
        """A whole column, as `begin_rows` gives it."""
        ...


@dataclass(frozen=True, slots=True)
class HiddenEdges:
    """Edges excluded from message passing: by split column (edge type -> column), and by their ends (global ids)."""

    columns: Mapping[EdgeType, str]
    ends: Mapping[EdgeType, tuple[IntArray, IntArray]]
    draw_by: str | None = None
    """The feature of edges by which those that pass messages are drawn; None, and for types without it: uniformly."""

    def __contains__(self, edge_type: EdgeType) -> bool:
        return edge_type in self.columns or edge_type in self.ends


def hidden_edges(
    manifest: GraphManifest, hide: Mapping[EdgeType, str | None], held_out: ExcludedEdges, where: object
) -> HiddenEdges:
    """The hidden edges, with their reverses. hide: edge type -> label whose split hides edges; None: the edges' own
    split. DataError when an edge type has no such split."""
    columns: dict[EdgeType, str] = {}
    for edge_type, label in hide.items():
        schema = manifest.edge(edge_type)
        if label is None and schema.split_counts is None:
            raise DataError(f"{where}: edge type {edge_name(edge_type)} must have a split to hide edges by")
        if label is not None and label not in schema.labels:
            raise DataError(
                unknown(f"{where}: {edge_name(edge_type)}", "label", label, schema.labels) + " Run: gsl construct"
            )
        column = SPLIT_COLUMN if label is None else label_split_column(label)
        columns |= {t: column for t in (edge_type, schema.reverse) if t is not None}
    ends = dict(held_out.ends)
    for edge_type, (source, target) in held_out.ends.items():
        if (reverse := manifest.edge(edge_type).reverse) is not None:
            ends[reverse] = (target, source)
    return HiddenEdges(columns, ends)


class Partition:
    """Partition `number` of a graph folder, read from its files. shm: folder of the host's shared tables."""

    def __init__(
        self, folder: Path, manifest: GraphManifest, number: int, hidden: HiddenEdges, shm: Path | None = None
    ) -> None:
        self.folder, self.manifest, self.hidden, self.shm = folder, manifest, hidden, shm
        self.schema = manifest.partitions[number]
        self._tables: dict[str, pa.RecordBatch] = {}
        self._columns: dict[RowType, dict[str, pa.Array]] = {}
        self._shared_rows: dict[str, SharedRows] = {}
        self._csc: dict[EdgeType, tuple[IntArray, npt.NDArray[np.integer], IntArray | None]] = {}
        self._drawn_by: dict[EdgeType, Weights] = {}
        self._timed: dict[EdgeType, TimedMessages] = {}
        self._building = threading.Lock()

    # -- files ---------------------------------------------------------------------------------------------------

    def _table(self, file: str) -> pa.RecordBatch:
        if file not in self._tables:
            path = self.folder / self.schema.folder / file
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(path)))
                if reader.num_record_batches != 1:
                    raise DataError(f"{path}: must have one record batch (got {reader.num_record_batches})")
                self._tables[file] = reader.get_batch(0)
            except (OSError, pa.ArrowInvalid) as err:
                raise DataError(f"{path}: must be an Arrow file as `gsl construct` writes it ({err})") from None
        return self._tables[file]

    def _of_type(self, row_type: RowType) -> pa.RecordBatch:
        if isinstance(row_type, str):
            self.manifest.node(row_type)
            return self._table(self.schema.node_files[row_type])
        self.manifest.edge(row_type)
        return self._table(self.schema.edge_files[edge_name(row_type)])

    def arrow(self, column: Column) -> pa.Array:
        """A column of a file, as stored."""
        row_type, name = column
        if row_type not in self._columns:
            table = self._of_type(row_type)
            # Arrow searches names one by one: with 3,000 columns each batch would search through them 3,000 times.
            self._columns[row_type] = dict(zip(table.schema.names, table.columns, strict=True))
        columns = self._columns[row_type]
        if name not in columns:
            kind, _, short = name.partition(":")
            column_names = [n.partition(":")[2] for n in columns if n.startswith(f"{kind}:")]
            raise DataError(unknown(f"{self.folder}: {type_name(row_type)}", kind, short or name, column_names))
        return columns[name]

    # -- Part ----------------------------------------------------------------------------------------------------

    def column(self, column: Column) -> Any:
        """See Part; memory-mapped wherever the file format allows it."""
        row_type, name = column
        if name == DEGREES:
            assert not isinstance(row_type, str)
            return np.diff(self._messages(row_type)[0])
        if name == HIDDEN:
            assert not isinstance(row_type, str)
            return self._hidden(row_type)
        return _plain(self.arrow(column))

    def _shared(self, column: Column) -> SharedRows:
        """A shared table of the host. Tables that the host has dropped are closed here too."""
        name = f"{type_name(column[0])}:{column[1].removeprefix(SHARED)}"
        table = self._shared_rows.get(name)
        if table is None:
            assert self.shm is not None
            table = find(self.shm, name).open()
            # Replaced, not changed: other threads may be reading the dict.
            kept = {n: rows for n, rows in self._shared_rows.items() if is_there(self.shm, n)}
            self._shared_rows = {**kept, name: table}
        return table

    def places(self, column: Column, rows: IntArray) -> tuple[npt.NDArray[Any], IntArray] | None:
        """(stored rows of a column, where among them some of its rows are), to be copied from there; None: strings."""
        whole = self._shared(column) if column[1].startswith(SHARED) else self.column(column)
        if isinstance(whole, SharedRows):
            return whole.values, rows if whole.index is None else whole.index[rows]
        return None if isinstance(whole, pa.Array) else (whole, rows)

    def begin_rows(self, column: Column, rows: IntArray) -> Pending[Any]:
        """See Part."""

        def read() -> Any:
            whole = self._shared(column) if column[1].startswith(SHARED) else self.column(column)
            return whole.take(pa.array(rows)) if isinstance(whole, pa.Array) else whole[rows]

        return Pending(read)

    def begin_ragged(self, column: Column, rows: IntArray, values: bool) -> Pending[Ragged]:
        """See Part."""
        return Pending(lambda: self._shared(column).ragged(rows, values))

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """See Part."""
        return Pending(lambda: self._hops(requests, seed))

    def _hops(self, requests: Sequence[HopRequest], seed: int) -> list[Hop]:
        hops = []
        for request in requests:
            draws = NodeDraws(seed, request.edge_type, self.schema.node_ranges[request.edge_type[2]][0])
            if request.bounds is not None:
                messages = self._in_time(request.edge_type)
                kept = messages.edge_rows
                hop = sample_past(messages, request.rows, request.bounds, request.fanout, request.past, draws)
            else:
                indptr, sources, kept = self._messages(request.edge_type)
                weights = self._weights(request.edge_type) if request.fanout > 0 else None
                if weights is None:
                    hop = sample_hop(indptr, sources, request.rows, request.fanout, draws)
                else:
                    hop = sample_weighted(indptr, sources, weights, request.rows, request.fanout, draws)
            edge_ids = hop.edge_ids if kept is None else kept[hop.edge_ids]
            hops.append(Hop(hop.rows, hop.offsets, hop.sources, edge_ids, hop.times))
        return hops

    # -- messages ------------------------------------------------------------------------------------------------

    def _messages(self, edge_type: EdgeType) -> tuple[IntArray, npt.NDArray[np.integer], IntArray | None]:
        """CSC of the message graph: indptr, sources, and the edge rows where hidden edges left gaps."""
        if edge_type not in self._csc:
            with self._building:  # takes seconds and much memory: do it once
                if edge_type not in self._csc:
                    self._csc[edge_type] = self._build_messages(edge_type)
        return self._csc[edge_type]

    def _build_messages(self, edge_type: EdgeType) -> tuple[IntArray, npt.NDArray[np.integer], IntArray | None]:
        sources = self.column((edge_type, SOURCE_COLUMN))
        file = indptr_file(self.schema.edge_files[edge_name(edge_type)])
        indptr: IntArray = self._table(file).column(0).to_numpy(zero_copy_only=True)
        if edge_type not in self.hidden:
            return indptr, sources, None
        is_message = ~self._hidden(edge_type)
        kept = np.flatnonzero(is_message)
        kept_before = np.concatenate([[0], np.cumsum(is_message)])
        return kept_before[indptr], sources[kept], kept

    def _weights(self, edge_type: EdgeType) -> Weights | None:
        """Weights of the edges that pass messages, by which they are drawn; None: they are drawn uniformly."""
        name = self.hidden.draw_by
        if name is None or name not in (features := self.manifest.edge(edge_type).features):
            return None
        if edge_type not in self._drawn_by:
            column = self.column((edge_type, feature_column(name)))[:, 0]
            weights = from_bits(column) if features[name].dtype == "bfloat16" else column
            if len(weights) and not weights.min() >= 0.0:
                raise DataError(
                    f"{self.folder}, edge type {edge_name(edge_type)}: feature '{name}' must be at least 0 to draw "
                    f"edges by (got {weights.min():g}). Construct it with normalize: none or min_max, or leave out "
                    f"train.draw_by"
                )
            kept = self._messages(edge_type)[2]
            self._drawn_by[edge_type] = weights if kept is None else weights[kept]
        return self._drawn_by[edge_type]

    def _in_time(self, edge_type: EdgeType) -> TimedMessages:
        """The message graph with the edges of each target in the order of their times."""
        if edge_type not in self._timed:
            indptr, sources, kept = self._messages(edge_type)
            times = None
            if self.manifest.edge(edge_type).time is not None:
                times = self.column((edge_type, TIME_COLUMN))
                times = times if kept is None else times[kept]
            with self._building:
                if edge_type not in self._timed:
                    self._timed[edge_type] = TimedMessages.of(indptr, sources, kept, times)
        return self._timed[edge_type]

    def _hidden(self, edge_type: EdgeType) -> npt.NDArray[np.bool_]:
        """[E], True for validation, test and held-out edges, and for every edge parallel to one, whatever its split.

        Parallel edges have the same target, hence lie in the same partition.
        """
        num_sources = self.manifest.node(edge_type[0]).count
        target = self.column((edge_type, TARGET_COLUMN)).astype(np.int64)
        keys = target * num_sources + self.column((edge_type, SOURCE_COLUMN))
        hidden_keys = [keys[:0]]
        if edge_type in self.hidden.columns:
            splits = self.column((edge_type, self.hidden.columns[edge_type]))
            hidden_keys.append(keys[np.isin(splits, HIDDEN_SPLITS)])
        if edge_type in self.hidden.ends:
            sources, targets = self.hidden.ends[edge_type]
            hidden_keys.append(targets * num_sources + sources)
        hidden: npt.NDArray[np.bool_] = np.isin(keys, np.concatenate(hidden_keys))
        return hidden


def _plain(column: pa.Array) -> Any:
    """Numbers as numpy, fixed-size lists as numpy [n, width], strings and sparse features unchanged."""
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, column.type.list_size)
    if pa.types.is_large_string(column.type) or pa.types.is_string(column.type) or is_sparse(column.type):
        return column
    return column.to_numpy(zero_copy_only=False)


def node_ids(partition: Part, node_type: NodeType) -> pa.Array:
    """The user's own ids of a partition's nodes, as Arrow."""
    ids = partition.column((node_type, ID_COLUMN))
    return ids if isinstance(ids, pa.Array) else pa.array(ids)


def as_hide(hide: Collection[EdgeType] | Mapping[EdgeType, str | None]) -> Mapping[EdgeType, str | None]:
    """A collection of edge types as a mapping: each is hidden by its own split."""
    return dict(hide) if isinstance(hide, Mapping) else dict.fromkeys(hide)
