"""The interface between graphs and everything that trains on them.

Two stores implement it: a local one (memory-mapped files, `graph.local`) and, for graphs that outgrow a machine, a
distributed one (`graph.remote`). Ids are positions 0..count-1 of a node or edge type; arrays are numpy int64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from typing_extensions import TypeVar

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.past import TimeBounds, Times
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.pending import Pending

if TYPE_CHECKING:
    from torch import Tensor

NodeType: TypeAlias = str
RowType: TypeAlias = NodeType | EdgeType
"""A type whose rows carry features and texts: a node type or an edge type."""
IntArray: TypeAlias = npt.NDArray[np.int64]
NodeIds: TypeAlias = dict[NodeType, IntArray]
Array = TypeVar("Array", default="Tensor")
"""What blocks consist of: numpy arrays in a store, tensors in a MiniBatch."""


def type_name(row_type: RowType) -> str:
    """The written form of a node or edge type."""
    return row_type if isinstance(row_type, str) else edge_name(row_type)


@dataclass(frozen=True, slots=True)
class Hop:
    """Sampled edges of one type into a list of S target nodes, grouped by target.

    M of the targets have edges, E in all. rows [M]: the positions of these targets in the list, ascending; the edges of
    rows[i] are offsets[i]:offsets[i+1]; sources [E]: node ids of the source type; edge_ids [E]; times [E]: of edges
    with a time, where targets had bounds (`graph.past`).
    """

    rows: IntArray
    offsets: IntArray
    sources: IntArray
    edge_ids: IntArray
    times: Times | None = None

    @classmethod
    def empty(cls) -> Hop:
        """No edges."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, np.zeros(1, dtype=np.int64), nothing, nothing)


@dataclass(frozen=True, slots=True)
class ExcludedEdges:
    """Edges that no sampled neighbourhood may contain, by their ends: every parallel edge is excluded too.

    Ends, not edge ids: in a partitioned graph an edge and its reverse share no id.
    """

    ends: Mapping[EdgeType, tuple[IntArray, IntArray]]


@dataclass(frozen=True, slots=True)
class Relation(Generic[Array]):
    """One edge type of one GNN layer, like Hop, but `sources` are positions in the block's source nodes.

    inputs: by name, rows [E, F] in the order of edge_ids: the edge inputs of the model. ages [E]: in a temporal
    sample, of edges with a time: how long before the bound of its seed each was (`past.ages`).
    """

    rows: Array
    offsets: Array
    sources: Array
    edge_ids: Array
    inputs: dict[str, Tensor] = field(default_factory=dict)
    ages: npt.NDArray[np.float32] | Tensor | None = None


@dataclass(frozen=True, slots=True)
class Block(Generic[Array]):
    """One GNN layer's computation: from num_src nodes of each type to the first num_dst of them.

    Target nodes are a prefix of the source nodes of their type. Relations without an edge are absent.
    Arrays are numpy in the store and torch in a MiniBatch.
    """

    num_src: dict[NodeType, int]
    num_dst: dict[NodeType, int]
    relations: dict[EdgeType, Relation[Array]]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Blocks from the outermost layer to the one next to the seeds; input_ids: the source nodes of the first block;
    input_bounds: in a temporal sample, the bound of each of these."""

    blocks: tuple[Block[IntArray], ...]
    input_ids: NodeIds
    input_bounds: dict[NodeType, Times] = field(default_factory=dict)


class GraphStore(Protocol):
    """Topology. `hide`: edge types whose validation and test edges are excluded from message passing; `held_out`: more
    edges that are excluded."""

    folder: Path
    manifest: GraphManifest
    hide: Mapping[EdgeType, str | None]
    held_out: ExcludedEdges
    only_scored: bool
    """Whether a trained model scores its rows, and nothing is learnt from it: splits may then be empty."""

    def sample(
        self,
        seeds: NodeIds,
        fanouts: Sequence[FanoutByType],
        rng: np.random.Generator,
        exclude: ExcludedEdges | None = None,
        bounds: TimeBounds | None = None,
    ) -> Subgraph:
        """Layered neighbourhood of distinct seeds: per layer, edge type and node up to `fanout` in-neighbours,
        drawn without replacement; -1 takes all, 0 none. `fanouts` starts next to the seeds. With bounds only of the
        past of each seed, see `graph.past`; then the pairs of seed and bound must be distinct."""
        ...

    def edges(self, edge_type: EdgeType, edge_ids: IntArray | None = None) -> tuple[IntArray, IntArray]:
        """(source ids, target ids) of the given edges, or of all, hidden ones included."""
        ...

    def begin_edges(self, edge_type: EdgeType, edge_ids: IntArray) -> Pending[tuple[IntArray, IntArray]]:
        """Start to read the ends of some edges; reads that start together travel in one message."""
        ...

    def edge_rows(self, edge_type: EdgeType, split: str) -> IntArray:
        """Ids of the edges that belong to a split."""
        ...

    def hidden_rows(self, edge_type: EdgeType) -> IntArray:
        """Ids of the edges of a type that are excluded from message passing."""
        ...

    def degrees(self, edge_type: EdgeType, start: int = 0, stop: int | None = None) -> IntArray:
        """In-degree of target nodes start..stop-1 in the message graph; default all."""
        ...

    def reverse_pairs(self, edge_type: EdgeType, sources: IntArray, targets: IntArray) -> ExcludedEdges:
        """The given edges, forward and reverse, as ExcludedEdges."""
        ...


class FeatureStore(Protocol):
    """Features, texts, images, labels and ids of nodes and edges."""

    def ids(self, node_type: NodeType) -> pa.Array:
        """The user's own ids, by position."""
        ...

    def ids_of(self, node_type: NodeType, ids: IntArray) -> pa.Array:
        """The user's own ids of some nodes."""
        ...

    def text(self, row_type: RowType, name: str) -> pa.Array:
        """A text column (large_string)."""
        ...

    def gather(self, row_type: RowType, name: str, ids: IntArray) -> npt.NDArray[np.float32]:
        """Rows [N, width] of a feature, float32 or float16."""
        ...

    def begin_gather(self, row_type: RowType, name: str, ids: IntArray) -> Pending[npt.NDArray[np.float32]]:
        """Start to read rows of a feature; the result waits for them. Reads that start together travel in one
        message."""
        ...

    def begin_entries(self, row_type: RowType, name: str, ids: IntArray) -> Pending[SparseRows]:
        """The same by the entries of a sparse feature."""
        ...

    def begin_pixels(self, node_type: NodeType, name: str, ids: IntArray) -> Pending[npt.NDArray[np.uint8]]:
        """Start to read images of some nodes [N, height * width * 3]; the result waits for them."""
        ...

    def label(self, node_type: NodeType, name: str) -> npt.NDArray[Any]:
        """A label column [count]: int32 class (-1: none) or float32 number (NaN: none); of several classes uint8
        [count, classes] (255: none)."""
        ...

    def label_rows(self, node_type: NodeType, name: str, split: str) -> IntArray:
        """Ids of the nodes whose label belongs to a split."""
        ...

    def hard_negatives(self, edge_type: EdgeType, edge_ids: IntArray) -> IntArray:
        """[N, K] target ids that the table gives some edges as wrong ones; -1 where an edge has fewer."""
        ...

    def edge_label(self, edge_type: EdgeType, name: str) -> npt.NDArray[Any]:
        """A label column by edge id, as of nodes."""
        ...

    def edge_label_rows(self, edge_type: EdgeType, name: str, split: str) -> IntArray:
        """Ids of the edges whose label belongs to a split."""
        ...


class Graph(GraphStore, FeatureStore, Protocol):
    """All that training and inference need of a graph."""
