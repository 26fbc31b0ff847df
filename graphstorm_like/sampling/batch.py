"""MiniBatch: all that one training or inference step needs, for any graph.

Legend of shapes: S seeds, N input nodes of a type, E edges, F feature width, B positive edges, C candidates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Block, IntArray, NodeType, Relation, RowType, Subgraph


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Where in the stream of batches this one stands; part of the checkpoint."""

    epoch: int
    step: int


class Targets:
    """What a step asks of its seeds. Each seeder brings a frozen dataclass of its own, which derives from this one and
    says what the rest of a step must know of it; of other seeders' it need not know.

    Tensors in its fields, also inside of dicts, tuples and dataclasses, move with the batch. Rows are those of this
    rank alone: the seeder has cut the step's.
    """

    __slots__ = ()

    def map(self, change: Callable[[Tensor], Tensor]) -> Targets:
        """The same with every tensor changed: on a device, in pinned memory."""
        changed: Targets = _map_fields(self, change)
        return changed

    @property
    def scored(self) -> Mapping[EdgeType, Tensor]:
        """Ids [B] of the edges, by type, of which the head reads what they themselves carry."""
        return {}

    def with_inputs(self, edge_type: EdgeType, inputs: Mapping[str, Tensor]) -> Targets:
        """A copy with rows [B, F], by name, of scored edges."""
        raise NotImplementedError(f"{type(self).__name__} scores no edges")

    @property
    def links(self) -> tuple[RelationLinks, ...]:
        """The relations of which there are links to tell from wrong ones."""
        return ()


@dataclass(frozen=True, slots=True)
class NodeTargets(Targets):
    """What is asked of the seeds of one node type: labels [S] (int64 class index, or float32 number)."""

    node_type: NodeType
    labels: Tensor


@dataclass(frozen=True, slots=True)
class EdgeTargets(Targets):
    """B labelled edges of one type: ends as positions in the seeds, labels [B] as in NodeTargets, edge ids [B]."""

    edge_type: EdgeType
    sources: Tensor
    targets: Tensor
    labels: Tensor
    ids: Tensor
    inputs: dict[str, Tensor] = field(default_factory=dict)
    """[B, F]: what the edges themselves carry, by name; texts as vectors, named `text:<name>`."""

    @property
    def scored(self) -> Mapping[EdgeType, Tensor]:
        """See Targets."""
        return {self.edge_type: self.ids}

    def with_inputs(self, edge_type: EdgeType, inputs: Mapping[str, Tensor]) -> EdgeTargets:
        """See Targets."""
        return dataclasses.replace(self, inputs={**self.inputs, **inputs})


@dataclass(frozen=True, slots=True)
class CandidatePool:
    """Candidates of one node type of a step, of all ranks: their vectors [C, D] are gathered, rank after rank.

    mine [C of this rank]: positions in the seeds. sizes: how many each rank brings.
    """

    mine: Tensor
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RelationLinks:
    """B edges of one type, this rank's, and the rows of the target type's CandidatePool that are their candidates.

    sources [B]: positions in the seeds. columns: slices of the pool, one after the other C candidates; these begin with
    the targets of the B edges, so that candidate i is the true one of source i.
    mask [B, C] is True where candidate j is no negative of source i: another known true target, or the source itself.
    The true pairs (i, i) are False.
    log_q [C]: log of how often each candidate is drawn, to be subtracted from its scores; None: no correction.
    """

    edge_type: EdgeType
    sources: Tensor
    columns: tuple[slice, ...]
    mask: Tensor
    log_q: Tensor | None = None

    def candidates(self, pool: Tensor, dim: int = 0) -> Tensor:
        """What lies in the order of the pool [.., pool, ..] -> in the order of the candidates [.., C, ..]."""
        pieces = [pool.narrow(dim, c.start, c.stop - c.start) for c in self.columns]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim)


@dataclass(frozen=True, slots=True)
class LinkTargets(Targets):
    """Edges of some relations to tell from wrong ones. Relations with the same target type share their candidates."""

    parts: tuple[RelationLinks, ...]
    pools: dict[NodeType, CandidatePool]

    @property
    def links(self) -> tuple[RelationLinks, ...]:
        """See Targets."""
        return self.parts


def link_parts(targets: Targets | None) -> tuple[RelationLinks, ...]:
    """The relations of which a batch holds links to tell from wrong ones; none for tasks on labels."""
    return () if targets is None else targets.links


@dataclass(frozen=True, slots=True)
class Messages:
    """Where texts of a batch belong to: the edges of a type that lead to the seeds."""

    edge_type: EdgeType


TextPlace: TypeAlias = RowType | Messages
"""A node type: its input nodes. An edge type: the edges that are scored. Messages: the edges next to the seeds."""


def row_type_of(place: TextPlace) -> RowType:
    """The node or edge type of a place."""
    return place.edge_type if isinstance(place, Messages) else place


@dataclass(frozen=True, slots=True)
class TrainedTexts:
    """Texts of one input of a place that get gradients.

    at [M]: positions of their nodes or edges in the place. batches: TextBatches; their vectors a node, one batch's
    below the other's, belong to `at`. unique [U]: their distinct texts, or pieces of texts, in the order of the
    batches.
    """

    at: Tensor
    batches: tuple[Any, ...]
    unique: Tensor


@dataclass(frozen=True, slots=True)
class MiniBatch:
    """Always heterogeneous: a homogeneous graph has one node type and one edge type."""

    seeds: dict[NodeType, Tensor]
    """[S] distinct node ids."""
    position: StreamPosition
    targets: Targets | None = None
    asked: dict[EdgeType, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """(source ids, target ids) of the edges that the step, on all ranks, is about."""
    weight: float = 1.0
    """0: nothing was left for this rank, which goes through the motions that others wait for."""
    blocks: tuple[Block, ...] = ()
    """From the outermost layer to the one next to the seeds; edge inputs are in their relations."""
    input_ids: dict[NodeType, Tensor] = field(default_factory=dict)
    """[N] node ids; the seeds come first."""
    features: dict[NodeType, dict[str, Tensor]] = field(default_factory=dict)
    """[N, F]; cached text vectors are features too, named `text:<name>`."""
    texts: dict[TextPlace, dict[str, TrainedTexts]] = field(default_factory=dict)
    """By the same names: texts for a language model that learns. Their vectors replace rows of the inputs."""

    def replace(self, **changes: Any) -> MiniBatch:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def rows(self, place: TextPlace) -> Tensor | None:
        """Ids of the nodes or edges of a place; None when there are none."""
        if isinstance(place, str):
            return self.input_ids.get(place)
        if isinstance(place, Messages):
            relation = self.blocks[-1].relations.get(place.edge_type) if self.blocks else None
            return None if relation is None else relation.edge_ids
        return None if self.targets is None else self.targets.scored.get(place)

    def to(self, device: torch.device) -> MiniBatch:
        """Every tensor on a device."""
        moved: MiniBatch = map_tensors(self, lambda t: t.to(device, non_blocking=True))
        return moved


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure of dataclasses, dicts and tuples with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {k: map_tensors(v, change) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(map_tensors(v, change) for v in value)
    if isinstance(value, Targets):
        return value.map(change)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _map_fields(value, change)
    return value


def _map_fields(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A dataclass with every tensor in its fields changed."""
    changed = {f.name: map_tensors(getattr(value, f.name), change) for f in dataclasses.fields(value)}
    return type(value)(**changed)


def tensor_bytes(value: Any) -> int:
    """Bytes of all tensors in a structure."""
    total = 0

    def add(t: Tensor) -> Tensor:
        nonlocal total
        total += t.numel() * t.element_size()
        return t

    map_tensors(value, add)
    return total


def torch_subgraph(subgraph: Subgraph) -> tuple[tuple[Block, ...], dict[NodeType, Tensor]]:
    """The store's numpy blocks and input ids as tensors, without a copy."""

    def relation(r: Relation[IntArray]) -> Relation:
        rows, offsets, sources, edge_ids = (
            torch.from_numpy(np.ascontiguousarray(x)) for x in (r.rows, r.offsets, r.sources, r.edge_ids)
        )
        return Relation(rows, offsets, sources, edge_ids)

    blocks = tuple(
        Block(b.num_src, b.num_dst, {t: relation(r) for t, r in b.relations.items()}) for b in subgraph.blocks
    )
    return blocks, {t: torch.from_numpy(ids) for t, ids in subgraph.input_ids.items()}
