"""A Graph over partitions, wherever they are: every request goes to the partitions that hold its rows.

Partitions hold contiguous ranges of ids, so that the owner of an id is found among P numbers. With a single partition
its answers are passed on without a copy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.bfloat16 import from_bits
from graphstorm_like.graph.partition_reader import (
    DEGREES,
    HIDDEN,
    SHARED,
    Column,
    HiddenEdges,
    Part,
    as_hide,
    hidden_edges,
    node_ids,
)
from graphstorm_like.graph.past import HopRequest, TimeBounds, Times
from graphstorm_like.graph.sample import BatchPositions, merge_hops, sample_blocks
from graphstorm_like.graph.sample_past import sample_past_blocks
from graphstorm_like.graph.schema import (
    HARD_NEGATIVES_COLUMN,
    ID_COLUMN,
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    FeatureSchema,
    GraphManifest,
    feature_column,
    image_column,
    label_column,
    label_split_column,
    text_column,
)
from graphstorm_like.graph.shared import Ragged
from graphstorm_like.graph.sparse import SparseRows, rows_of
from graphstorm_like.graph.store import ExcludedEdges, Hop, IntArray, NodeIds, NodeType, RowType, Subgraph, type_name
from graphstorm_like.pending import Pending


@dataclass(frozen=True, slots=True)
class KeptRows:
    """found [n]: which of some ids are kept; those that are have the rows `rows[places]`."""

    found: npt.NDArray[np.bool_]
    rows: npt.NDArray[Any]
    places: IntArray


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows that belong at some positions of a result: rows[places], or all of them."""

    at: IntArray
    rows: npt.NDArray[Any]
    places: IntArray | None


COPIED_ROWS = 512
"""Rows that are copied at a time: so few stay in the processor's cache between reading and writing."""


class _Assembled:
    """A result of `count` rows, put together piece by piece."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rows: npt.NDArray[Any] | None = None

    def put(self, piece: _Piece) -> None:
        """Copy the rows of a piece to their places."""
        if self._rows is None:
            self._rows = np.empty((self._count, *piece.rows.shape[1:]), dtype=piece.rows.dtype)
        if piece.places is None:
            self._rows[piece.at] = piece.rows
            return
        for start in range(0, len(piece.at), COPIED_ROWS):
            some = slice(start, start + COPIED_ROWS)
            self._rows[piece.at[some]] = piece.rows[piece.places[some]]

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The result, once all pieces are there."""
        assert self._rows is not None
        return self._rows


class PartitionedGraph:
    """See Graph.

    hide: edge types whose validation and test edges (and their reverses) are excluded from message passing. `edges` and
    `edge_rows` still return them, for they are scored. A mapping names the label whose split counts; None: the edges'
    own split.
    held_out: more edges excluded from message passing, by their ends; their reverses are excluded too.
    open_parts: opens the partitions, given the hidden edges.
    draw_by: feature of edges by which neighbours are drawn; types without it are drawn uniformly.
    """

    here = 0
    """The number of a partition that this process reads itself."""
    only_scored = False
    """See GraphStore."""
    samples_by_time = True
    """Whether its partitions regard bounds."""

    def __init__(
        self,
        folder: Path,
        manifest: GraphManifest,
        hide: Collection[EdgeType] | Mapping[EdgeType, str | None],
        held_out: ExcludedEdges | None,
        open_parts: Callable[[HiddenEdges], Sequence[Part]],
        draw_by: str | None = None,
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self.hide = as_hide(hide)
        self.held_out = ExcludedEdges({}) if held_out is None else held_out
        self.draw_by = draw_by
        hidden = hidden_edges(manifest, self.hide, self.held_out, folder)
        self.parts = open_parts(replace(hidden, draw_by=draw_by))
        self._counts = {name: node.count for name, node in manifest.nodes.items()}
        self._numbering = BatchPositions(self._counts)
        self._starts: dict[RowType, IntArray] = {}
        for node_type in manifest.nodes:
            ends = [partition.node_ranges[node_type][1] for partition in manifest.partitions]
            self._starts[node_type] = np.array([0, *ends])

    # -- rows and columns ----------------------------------------------------------------------------------------

    def starts(self, row_type: RowType) -> IntArray:
        """[P + 1]: partition p holds the rows starts[p]:starts[p + 1] of a type."""
        if row_type not in self._starts:
            assert not isinstance(row_type, str)
            whole = (0, self.manifest.edge(row_type).count)
            ends = [p.edge_ranges.get(edge_name(row_type), whole)[1] for p in self.manifest.partitions]
            self._starts[row_type] = np.array([0, *ends])
        return self._starts[row_type]

    def split(self, row_type: RowType, ids: IntArray) -> list[IntArray]:
        """For each partition the positions in `ids` of the ids that it holds."""
        # Id lists are long and partitions few: with 2 to 4 partitions one pass of comparisons for each takes at most a
        # third of the time of a binary search.
        bounds = self.starts(row_type).tolist()
        positions = [np.flatnonzero((ids >= start) & (ids < stop)) for start, stop in itertools.pairwise(bounds)]
        if sum(map(len, positions)) != len(ids):
            raise IndexError(f"{type_name(row_type)}: ids must be in 0..{self.starts(row_type)[-1] - 1}")
        return positions

    def begin_rows(self, column: Column, ids: IntArray) -> Pending[Any]:
        """Start to read some rows of a column; the result waits for them."""
        if len(self.parts) == 1 or not len(ids):  # without rows the answer says what the column is like
            return self.parts[self.here].begin_rows(column, ids)
        positions, starts = self.split(column[0], ids), self.starts(column[0])
        pieces, pending = [], {}
        for p, part in enumerate(self.parts):
            at = positions[p]
            if len(at) and (kept := self.kept(p, column, ids[at])) is not None:
                pieces.append(_Piece(at[kept.found], kept.rows, kept.places))
                at = positions[p] = at[~kept.found]
            if len(at):
                pending[p] = part.begin_rows(column, ids[at] - starts[p])

        def read() -> Any:
            result = _Assembled(len(ids))
            self.send()
            for piece in pieces:
                result.put(piece)
            answers = self.answers(pending)
            if answers and isinstance(answers[0], pa.Array):
                order = np.concatenate([positions[p] for p in pending])
                place_of_id = np.empty(len(order), dtype=np.int64)
                place_of_id[order] = np.arange(len(order))
                return pa.concat_arrays(answers).take(pa.array(place_of_id))
            for p, rows in zip(pending, answers, strict=True):
                result.put(_Piece(positions[p], rows, None))
            return result.rows

        return Pending(read)

    def kept(self, part: int, column: Column, ids: IntArray) -> KeptRows | None:
        """The rows of a partition that this process need not ask it for; None: there are none of this column."""
        return None

    def send(self) -> None:
        """Send what other hosts are asked for: they work on it while this process copies what it has."""

    def answers(self, pending: Mapping[int, Pending[Any]]) -> list[Any]:
        """Answers of partitions, in order. Other hosts work on theirs meanwhile."""
        return [each.wait() for each in pending.values()]

    def begin_shared(self, row_type: RowType, name: str, ids: IntArray) -> Pending[Any]:
        """Start to read rows of a table that every host has published for its partition as 'type:name'."""
        return self.begin_rows((row_type, SHARED + name), ids)

    def begin_ragged(
        self, row_type: RowType, name: str, ids: IntArray, values: bool = True
    ) -> Pending[list[tuple[int, IntArray, Ragged]]]:
        """Start to read the items of some rows of a shared table: (partition, positions in `ids`, items) for each
        partition that holds any of the rows. Every answer numbers its partition's items from 0."""
        starts = self.starts(row_type)
        positions = {p: at for p, at in enumerate(self.split(row_type, ids)) if len(at)}
        column = (row_type, SHARED + name)
        pending = {p: self.parts[p].begin_ragged(column, ids[at] - starts[p], values) for p, at in positions.items()}

        def read() -> list[tuple[int, IntArray, Ragged]]:
            answers = self.answers(pending)
            return [(p, at, items) for (p, at), items in zip(positions.items(), answers, strict=True)]

        return Pending(read)

    def column(self, column: Column) -> npt.NDArray[Any]:
        """A whole column of numbers, of all partitions."""
        if len(self.parts) == 1:
            only: npt.NDArray[Any] = self.parts[0].column(column)
            return only
        return np.concatenate([part.column(column) for part in self.parts])

    def once(self, name: str, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """What `make` gives. Over several hosts, one process of each host makes it, and all of the host share it
        under its name, which must say what it depends on."""
        return make()

    def _strings(self, column: Column) -> pa.Array:
        columns = [part.column(column) for part in self.parts]
        return columns[0] if len(columns) == 1 else pa.concat_arrays(columns)

    # -- FeatureStore --------------------------------------------------------------------------------------------

    def ids(self, node_type: NodeType) -> pa.Array:
        """The user's own ids, by position."""
        columns = [node_ids(part, node_type) for part in self.parts]
        return columns[0] if len(columns) == 1 else pa.concat_arrays(columns)

    def ids_of(self, node_type: NodeType, ids: IntArray) -> pa.Array:
        """The user's own ids of some nodes."""
        rows = self.begin_rows((node_type, ID_COLUMN), ids).wait()
        return rows if isinstance(rows, pa.Array) else pa.array(rows)

    def text(self, row_type: RowType, name: str) -> pa.Array:
        """A text column (large_string)."""
        return self._strings((row_type, text_column(name)))

    def feature(self, row_type: RowType, name: str) -> npt.NDArray[np.float32]:
        """A whole feature [count, width]; memory-mapped when there is one partition."""
        schema = self._feature(row_type, name)
        if schema is not None and schema.sparse:
            return np.asarray(rows_of(self._strings((row_type, feature_column(name))), schema.width))
        values = self.column((row_type, feature_column(name)))
        return from_bits(values) if schema is not None and schema.dtype == "bfloat16" else values

    def gather(self, row_type: RowType, name: str, ids: IntArray) -> npt.NDArray[np.float32]:
        """Rows [N, width] of a feature, float32 or float16."""
        rows: npt.NDArray[np.float32] = self.begin_gather(row_type, name, ids).wait()
        return rows

    def begin_gather(self, row_type: RowType, name: str, ids: IntArray) -> Pending[Any]:
        """Start to read rows of a feature; the result waits for them [N, width]."""
        schema = self._feature(row_type, name)
        if schema is not None and schema.sparse:
            return self.begin_entries(row_type, name, ids).then(np.asarray)
        pending = self.begin_rows((row_type, feature_column(name)), ids)
        return pending.then(from_bits) if schema is not None and schema.dtype == "bfloat16" else pending

    def begin_entries(self, row_type: RowType, name: str, ids: IntArray) -> Pending[SparseRows]:
        """Start to read rows of a sparse feature by their entries; the result waits for them."""
        schema = self._feature(row_type, name)
        assert schema is not None
        width = schema.width
        return self.begin_rows((row_type, feature_column(name)), ids).then(lambda column: rows_of(column, width))

    def _feature(self, row_type: RowType, name: str) -> FeatureSchema | None:
        of_type = self.manifest.node(row_type) if isinstance(row_type, str) else self.manifest.edge(row_type)
        return of_type.features.get(name)

    def begin_pixels(self, node_type: NodeType, name: str, ids: IntArray) -> Pending[Any]:
        """Start to read images of some nodes [N, height * width * 3]; the result waits for them."""
        return self.begin_rows((node_type, image_column(name)), ids)

    def label(self, node_type: NodeType, name: str) -> npt.NDArray[Any]:
        """A label column [count]: int32 class (-1: none) or float32 number (NaN: none)."""
        return self.column((node_type, label_column(name)))

    def label_rows(self, node_type: NodeType, name: str, split: str) -> IntArray:
        """Ids of the nodes whose label belongs to a split."""
        return np.flatnonzero(self.column((node_type, label_split_column(name))) == SPLITS.index(split))

    # -- edges ---------------------------------------------------------------------------------------------------

    def edges(self, edge_type: EdgeType, edge_ids: IntArray | None = None) -> tuple[IntArray, IntArray]:
        """(source ids, target ids) of the given edges, or of all, hidden ones included."""
        if edge_ids is not None:
            return self.begin_edges(edge_type, edge_ids).wait()
        source, target = (self.column((edge_type, column)) for column in (SOURCE_COLUMN, TARGET_COLUMN))
        return source.astype(np.int64), target.astype(np.int64)

    def begin_edges(self, edge_type: EdgeType, edge_ids: IntArray) -> Pending[tuple[IntArray, IntArray]]:
        """Start to read the ends of some edges; the result waits for (source ids, target ids)."""
        pending = [self.begin_rows((edge_type, column), edge_ids) for column in (SOURCE_COLUMN, TARGET_COLUMN)]

        def read() -> tuple[IntArray, IntArray]:
            source, target = (rows.wait() for rows in pending)
            return source.astype(np.int64), target.astype(np.int64)

        return Pending(read)

    def edge_rows(self, edge_type: EdgeType, split: str) -> IntArray:
        """Ids of the edges that belong to a split."""
        return np.flatnonzero(self.column((edge_type, SPLIT_COLUMN)) == SPLITS.index(split))

    def hard_negatives(self, edge_type: EdgeType, edge_ids: IntArray) -> IntArray:
        """[N, K] target ids that the table gives some edges as wrong ones; -1 where an edge has fewer."""
        rows: IntArray = self.begin_rows((edge_type, HARD_NEGATIVES_COLUMN), edge_ids).wait().astype(np.int64)
        return rows

    def edge_label(self, edge_type: EdgeType, name: str) -> npt.NDArray[Any]:
        """A label column [count], by edge id: int32 class (-1: none) or float32 number (NaN: none)."""
        return self.column((edge_type, label_column(name)))

    def edge_label_rows(self, edge_type: EdgeType, name: str, split: str) -> IntArray:
        """Ids of the edges whose label belongs to a split."""
        return np.flatnonzero(self.column((edge_type, label_split_column(name))) == SPLITS.index(split))

    def degrees(self, edge_type: EdgeType, start: int = 0, stop: int | None = None) -> IntArray:
        """In-degree of target nodes start..stop-1 in the message graph; default all."""
        starts = self.starts(edge_type[2])
        stop = int(starts[-1]) if stop is None else stop
        pieces = [
            part.column((edge_type, DEGREES))[max(start - first, 0) : stop - first]
            for part, first, last in zip(self.parts, starts[:-1].tolist(), starts[1:].tolist(), strict=True)
            if first < stop and start < last
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, dtype=np.int64), *pieces])

    def hidden_rows(self, edge_type: EdgeType) -> IntArray:
        """Ids of the edges of a type that are excluded from message passing."""
        return np.flatnonzero(self.column((edge_type, HIDDEN)))

    # -- sampling ------------------------------------------------------------------------------------------------

    def sample(
        self,
        seeds: NodeIds,
        fanouts: Sequence[FanoutByType],
        rng: np.random.Generator,
        exclude: ExcludedEdges | None = None,
        bounds: TimeBounds | None = None,
    ) -> Subgraph:
        """See GraphStore.sample."""

        def hops(requests: Sequence[HopRequest]) -> list[Hop]:
            seed = int(rng.integers(2**63))  # of this layer, whatever is asked in it
            if len(self.parts) == 1:
                return self.parts[0].begin_hops(requests, seed).wait()
            return self._hops(requests, seed)

        edge_types = [e.edge_type for e in self.manifest.edges]
        if bounds is not None:
            self.check_samples_by_time()
            return sample_past_blocks(self._numbering, edge_types, self._counts, seeds, fanouts, hops, exclude, bounds)
        return sample_blocks(
            self._numbering,
            edge_types,
            self._counts,
            seeds,
            fanouts,
            lambda requested: hops([HopRequest(*which) for which in requested]),
            exclude,
        )

    def check_samples_by_time(self) -> None:
        """Raises DataError when temporal samples (`model.time`) would show the future."""
        if not self.samples_by_time:
            raise DataError(
                f"{self.folder}: model.time needs a store whose partitions sample by time (got {type(self).__name__}). "
                f"Leave out model.time, or train and infer with launch.store: own"
            )

    def _hops(self, requested: Sequence[HopRequest], seed: int) -> list[Hop]:
        """One request to each partition."""
        # Edge types into the same nodes share an array of them: it is cut once, and sent once.
        cuts: dict[int, tuple[list[IntArray], list[IntArray]]] = {}
        bounds_of: dict[int, list[Times]] = {}
        for request in requested:
            if id(request.rows) not in cuts:
                target = request.edge_type[2]
                positions = self.split(target, request.rows)
                rows = [request.rows[at] - self.starts(target)[p] for p, at in enumerate(positions)]
                cuts[id(request.rows)] = positions, rows
            if request.bounds is not None and id(request.bounds) not in bounds_of:
                bounds_of[id(request.bounds)] = [request.bounds[at] for at in cuts[id(request.rows)][0]]
        pending: dict[int, Pending[list[Hop]]] = {}
        for p, part in enumerate(self.parts):
            requests = []
            for request in requested:
                bounds = None if request.bounds is None else bounds_of[id(request.bounds)][p]
                requests.append(replace(request, rows=cuts[id(request.rows)][1][p], bounds=bounds))
            pending[p] = part.begin_hops(requests, seed)
        answers = self.answers(pending)
        merged = []
        for i, request in enumerate(requested):
            hops = [hops_of_part[i] for hops_of_part in answers]
            merged.append(merge_hops(hops, cuts[id(request.rows)][0], self.starts(request.edge_type)[:-1].tolist()))
        return merged

    def reverse_pairs(self, edge_type: EdgeType, sources: IntArray, targets: IntArray) -> ExcludedEdges:
        """The given edges, forward and reverse, as ExcludedEdges."""
        ends = {edge_type: (sources, targets)}
        if (reverse := self.manifest.edge(edge_type).reverse) is not None:
            ends[reverse] = (targets, sources)
        return ExcludedEdges(ends)


def once_a_host(graph: object, name: str, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """See PartitionedGraph.once; graphs of other kinds share nothing."""
    return graph.once(name, make) if isinstance(graph, PartitionedGraph) else make()
