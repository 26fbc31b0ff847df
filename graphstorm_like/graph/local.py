"""The embedded store: a graph folder, memory-mapped, in this process. No server, no copy.

Only what is touched is read from disk. The one thing held in memory is the message graph of edge types whose
validation or test edges are hidden from training.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.sample import Numbering, sample_blocks, sample_hop
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    feature_column,
    indptr_file,
    label_column,
    label_split_column,
    read_manifest,
    text_column,
)
from graphstorm_like.graph.store import ExcludedEdges, Hop, IntArray, NodeIds, NodeType, RowType, Subgraph, type_name

HIDDEN_SPLITS = (SPLITS.index("valid"), SPLITS.index("test"))


class LocalGraph:
    """A Graph over a graph folder of one partition.

    hide: edge types whose validation and test edges (and their reverses) are no messages. `edges` and `edge_rows`
    still show them: they are what is scored. A mapping names the label whose split is meant; None: the edges' own.
    held_out: edges that are no messages either, by their ends; their reverses go too.
    """

    def __init__(
        self,
        folder: str | Path,
        hide: Collection[EdgeType] | Mapping[EdgeType, str | None] = (),
        held_out: ExcludedEdges | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(folder)
        if len(self.manifest.partitions) != 1:
            raise DataError(
                f"{folder}: must have one partition for the local store (got {len(self.manifest.partitions)})"
            )
        self._part = self.manifest.partitions[0]
        self.hide: Mapping[EdgeType, str | None] = dict(hide) if isinstance(hide, Mapping) else dict.fromkeys(hide)
        self.held_out = ExcludedEdges({}) if held_out is None else held_out
        self._tables: dict[str, pa.RecordBatch] = {}
        self._csc: dict[EdgeType, tuple[IntArray, npt.NDArray[np.integer], IntArray | None]] = {}
        self._counts = {name: node.count for name, node in self.manifest.nodes.items()}
        self._numbering = Numbering(self._counts)
        self._hidden_by: dict[EdgeType, str] = {}
        """The split column that says which edges are hidden; a reverse type has the same columns."""
        for edge_type, label in self.hide.items():
            schema = self.manifest.edge(edge_type)
            if label is None and schema.split_counts is None:
                raise DataError(f"{folder}: edge type {edge_name(edge_type)} must have a split to hide edges by")
            if label is not None and label not in schema.labels:
                raise DataError(
                    unknown(f"{folder}: {edge_name(edge_type)}", "label", label, schema.labels) + " Run: gsl construct"
                )
            column = SPLIT_COLUMN if label is None else label_split_column(label)
            self._hidden_by |= {t: column for t in (edge_type, schema.reverse) if t is not None}
        self._hidden_ends = dict(self.held_out.ends)
        for edge_type, (source, target) in self.held_out.ends.items():
            if (reverse := self.manifest.edge(edge_type).reverse) is not None:
                self._hidden_ends[reverse] = (target, source)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sampler processes open the folder anew instead of copying memory maps."""
        return (LocalGraph, (self.folder, self.hide, self.held_out))

    # -- files ---------------------------------------------------------------------------------------------------

    def _table(self, file: str) -> pa.RecordBatch:
        if file not in self._tables:
            path = self.folder / self._part.folder / file
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(path)))
                if reader.num_record_batches != 1:
                    raise DataError(f"{path}: must have one record batch (got {reader.num_record_batches})")
                self._tables[file] = reader.get_batch(0)
            except (OSError, pa.ArrowInvalid) as err:
                raise DataError(f"{path}: must be an Arrow file as `gsl construct` writes it ({err})") from None
        return self._tables[file]

    def _nodes(self, node_type: NodeType) -> pa.RecordBatch:
        self.manifest.node(node_type)
        return self._table(self._part.node_files[node_type])

    def _edges(self, edge_type: EdgeType) -> pa.RecordBatch:
        self.manifest.edge(edge_type)
        return self._table(self._part.edge_files[edge_name(edge_type)])

    def _rows(self, row_type: RowType) -> pa.RecordBatch:
        return self._nodes(row_type) if isinstance(row_type, str) else self._edges(row_type)

    def _column(self, table: pa.RecordBatch, column: str, where: str) -> pa.Array:
        if column not in table.schema.names:
            kind, _, name = column.partition(":")
            known = [n.partition(":")[2] for n in table.schema.names if n.startswith(f"{kind}:")]
            raise DataError(unknown(f"{self.folder}: {where}", kind, name or column, known))
        return table.column(column)

    # -- nodes ---------------------------------------------------------------------------------------------------

    def ids(self, node_type: NodeType) -> pa.Array:
        """The user's own ids, by position."""
        return self._nodes(node_type).column(ID_COLUMN)

    def text(self, row_type: RowType, name: str) -> pa.Array:
        """A text column (large_string)."""
        return self._column(self._rows(row_type), text_column(name), type_name(row_type))

    def feature(self, row_type: RowType, name: str) -> npt.NDArray[np.float32]:
        """A whole feature [count, width], memory-mapped."""
        column = self._column(self._rows(row_type), feature_column(name), type_name(row_type))
        width = column.type.list_size
        values: npt.NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=True)
        return values.reshape(-1, width)

    def gather(self, row_type: RowType, name: str, ids: IntArray) -> npt.NDArray[np.float32]:
        """Rows [N, width] of a feature."""
        return self.feature(row_type, name)[ids]

    def label(self, node_type: NodeType, name: str) -> npt.NDArray[Any]:
        """A label column [count]: int32 class (-1: none) or float32 number (NaN: none)."""
        column = self._column(self._nodes(node_type), label_column(name), node_type)
        return _numpy(column)

    def label_rows(self, node_type: NodeType, name: str, split: str) -> IntArray:
        """Ids of the nodes whose label belongs to a split."""
        column = self._column(self._nodes(node_type), label_split_column(name), node_type)
        return np.flatnonzero(column.to_numpy() == SPLITS.index(split))

    # -- edges ---------------------------------------------------------------------------------------------------

    def edges(self, edge_type: EdgeType, edge_ids: IntArray | None = None) -> tuple[IntArray, IntArray]:
        """(source ids, target ids) of the given edges, or of all, hidden ones included."""
        table = self._edges(edge_type)
        source, target = table.column(SOURCE_COLUMN).to_numpy(), table.column(TARGET_COLUMN).to_numpy()
        if edge_ids is not None:
            source, target = source[edge_ids], target[edge_ids]
        return source.astype(np.int64), target.astype(np.int64)

    def edge_rows(self, edge_type: EdgeType, split: str) -> IntArray:
        """Ids of the edges that belong to a split."""
        column = self._column(self._edges(edge_type), SPLIT_COLUMN, edge_name(edge_type))
        return np.flatnonzero(column.to_numpy() == SPLITS.index(split))

    def edge_label(self, edge_type: EdgeType, name: str) -> npt.NDArray[Any]:
        """A label column [count], by edge id: int32 class (-1: none) or float32 number (NaN: none)."""
        return _numpy(self._column(self._edges(edge_type), label_column(name), edge_name(edge_type)))

    def edge_label_rows(self, edge_type: EdgeType, name: str, split: str) -> IntArray:
        """Ids of the edges whose label belongs to a split."""
        column = self._column(self._edges(edge_type), label_split_column(name), edge_name(edge_type))
        return np.flatnonzero(column.to_numpy() == SPLITS.index(split))

    def degrees(self, edge_type: EdgeType) -> IntArray:
        """In-degree of each target node in the message graph."""
        return np.diff(self._messages(edge_type)[0])

    def _messages(self, edge_type: EdgeType) -> tuple[IntArray, npt.NDArray[np.integer], IntArray | None]:
        """CSC of the message graph: indptr, sources, and the edge ids where hidden edges left gaps."""
        if edge_type not in self._csc:
            table = self._edges(edge_type)
            file = indptr_file(self._part.edge_files[edge_name(edge_type)])
            indptr: IntArray = self._table(file).column(0).to_numpy(zero_copy_only=True)
            sources = table.column(SOURCE_COLUMN).to_numpy(zero_copy_only=True)
            kept: IntArray | None = None
            if edge_type in self._hidden_by or edge_type in self._hidden_ends:
                shown = ~self._hidden_rows(edge_type)
                kept = np.flatnonzero(shown)
                before = np.concatenate([[0], np.cumsum(shown)])
                indptr, sources = before[indptr], sources[kept]
            self._csc[edge_type] = (indptr, sources, kept)
        return self._csc[edge_type]

    def _hidden_rows(self, edge_type: EdgeType) -> npt.NDArray[np.bool_]:
        """Validation, test and held-out edges, and every parallel edge of theirs whatever its split."""
        source, target = self.edges(edge_type)
        num_sources = self._counts[edge_type[0]]
        keys = target * num_sources + source
        unwanted = [keys[:0]]
        if edge_type in self._hidden_by:
            splits = self._edges(edge_type).column(self._hidden_by[edge_type]).to_numpy()
            unwanted.append(keys[np.isin(splits, HIDDEN_SPLITS)])
        if edge_type in self._hidden_ends:
            of, to = self._hidden_ends[edge_type]
            unwanted.append(to * num_sources + of)
        hidden: npt.NDArray[np.bool_] = np.isin(keys, np.concatenate(unwanted))
        return hidden

    def hidden_rows(self, edge_type: EdgeType) -> IntArray:
        """Ids of the edges of a type that are no messages."""
        return np.flatnonzero(self._hidden_rows(edge_type))

    # -- sampling ------------------------------------------------------------------------------------------------

    def sample(
        self,
        seeds: NodeIds,
        fanouts: Sequence[FanoutByType],
        rng: np.random.Generator,
        exclude: ExcludedEdges | None = None,
    ) -> Subgraph:
        """See GraphStore.sample."""

        def hop(edge_type: EdgeType, targets: IntArray, fanout: int) -> Hop:
            indptr, sources, kept = self._messages(edge_type)
            found = sample_hop(indptr, sources, targets, fanout, rng)
            return found if kept is None else Hop(found.rows, found.offsets, found.sources, kept[found.edge_ids])

        edge_types = [e.edge_type for e in self.manifest.edges]
        return sample_blocks(self._numbering, edge_types, self._counts, seeds, fanouts, hop, exclude)

    def reverse_pairs(self, edge_type: EdgeType, sources: IntArray, targets: IntArray) -> ExcludedEdges:
        """The given edges, forward and reverse, as ExcludedEdges."""
        ends = {edge_type: (sources, targets)}
        if (reverse := self.manifest.edge(edge_type).reverse) is not None:
            ends[reverse] = (targets, sources)
        return ExcludedEdges(ends)


def _numpy(column: pa.Array) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
