"""MiniBatch: everything that one training or inference step needs, for any graph.

Shapes: S seeds, N input nodes of a type, E edges, F feature width, B positive edges, C candidates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Block, IntArray, NodeType, Relation, RowType, Subgraph


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """The position of a batch in the stream of batches; part of the checkpoint."""

    epoch: int
    step: int


class Targets:
    """What a step must predict for its seeds. Each seeder has its own frozen dataclass, which derives from this one.
    The properties below are all that the rest of a step needs to know about it.

    Tensors in its fields, also those inside dicts, tuples and dataclasses, move with the batch. Rows are this rank's
    only: the seeder has already taken its slice of the step.
    """

    __slots__ = ()

    def map(self, change: Callable[[Tensor], Tensor]) -> Targets:
        """A copy with every tensor changed: moved to a device, or to pinned memory."""
        changed: Targets = _map_fields(self, change)
        return changed

    @property
    def scored(self) -> Mapping[EdgeType, Tensor]:
        """Ids [B], by type, of the edges whose own features and texts the head reads."""
        return {}

    def with_inputs(self, edge_type: EdgeType, inputs: Mapping[str, Tensor]) -> Targets:
        """A copy with inputs [B, F], by name, of scored edges."""
        raise NotImplementedError(f"{type(self).__name__} scores no edges")

    @property
    def links(self) -> tuple[RelationLinks, ...]:
        """The relations whose links are told apart from negatives, each by itself; none for tasks on labels."""
        return ()

    @property
    def has_links(self) -> bool:
        """Whether there are any `links`; this takes no time."""
        return False


@dataclass(frozen=True, slots=True)
class NodeTargets(Targets):
    """Labels of the seeds of one node type: int64 class index [S], float32 number [S], or several classes [S, C]."""

    node_type: NodeType
    labels: Tensor


@dataclass(frozen=True, slots=True)
class EdgeTargets(Targets):
    """B labelled edges of one type: sources and targets [B] as positions in the seeds, labels [B] or [B, C] as in
    NodeTargets, edge ids [B]."""

    edge_type: EdgeType
    sources: Tensor
    targets: Tensor
    labels: Tensor
    ids: Tensor
    inputs: dict[str, Tensor] = field(default_factory=dict)
    """[B, F]: the edges' own features by name, and their texts as vectors named `text:<name>`."""

    @property
    def scored(self) -> Mapping[EdgeType, Tensor]:
        """See Targets."""
        return {self.edge_type: self.ids}

    def with_inputs(self, edge_type: EdgeType, inputs: Mapping[str, Tensor]) -> EdgeTargets:
        """See Targets."""
        return dataclasses.replace(self, inputs={**self.inputs, **inputs})


@dataclass(frozen=True, slots=True)
class CandidatePool:
    """Candidates of one node type in a step, from all ranks: their vectors [C, D] are gathered, rank after rank.

    mine [C of this rank]: positions in the seeds. sizes: how many candidates each rank contributes. ids [C]: node ids
    of all of them, where something reads them.
    """

    mine: Tensor
    sizes: tuple[int, ...]
    ids: Tensor | None = None

    @property
    def candidate_ids(self) -> IntArray:
        """`ids`, where they are kept."""
        assert self.ids is not None, "kept where something reads them"
        ids: IntArray = self.ids.cpu().numpy()
        return ids


@dataclass(frozen=True, slots=True)
class RelationLinks:
    """This rank's B edges of one type, and the rows of the target type's CandidatePool that are their candidates.

    sources [B]: positions in the seeds. columns: slices of the pool, which together hold C candidates; the first B are
    the targets of the B edges, so that candidate i is the true target of source i.
    mask [B, C]: True where candidate j must not count as a negative of source i, because it is another known true
    target, or the source itself. The true pairs (i, i) are False.
    log_q [C]: log of how often each candidate is drawn, to be subtracted from its scores; None: no correction.
    """

    edge_type: EdgeType
    sources: Tensor
    columns: tuple[slice, ...]
    mask: Tensor
    log_q: Tensor | None = None

    def candidates(self, pool: Tensor, dim: int = 0) -> Tensor:
        """Values in the order of the pool [.., pool, ..] -> in the order of the candidates [.., C, ..]."""
        return sliced(pool, self.columns, dim)


@dataclass(frozen=True, slots=True)
class TypeLinks:
    """This rank's B edges into one node type, relation by relation, and the candidates that they share.

    edge_types: the relations; counts: how many of the edges are of each. sources [B]: positions in the seeds of an
    edge's source type. own: their targets in the pool; others: the other candidates; with in_batch, targets of an
    edge's fellows are negatives too. log_q: see RelationLinks; candidate i is the true target of edge i. mask: the
    same; without in_batch [B, 1 + K], of each edge's own target and the others, so that it does not grow with B * B.
    weights [B]: of the edges in the loss; None: all weigh 1.
    """

    edge_types: tuple[EdgeType, ...]
    counts: tuple[int, ...]
    sources: Tensor
    own: slice
    others: tuple[slice, ...]
    in_batch: bool
    mask: Tensor
    log_q: Tensor | None = None
    weights: Tensor | None = None

    @property
    def weight(self) -> float:
        """The sum of the weights."""
        return float(len(self.sources)) if self.weights is None else float(self.weights.double().sum())

    @property
    def columns(self) -> tuple[slice, ...]:
        """See RelationLinks."""
        return joined_slices([self.own, *self.others])

    def by_relation(self) -> Iterator[RelationLinks]:
        """Each relation by itself: its own targets, and then the other candidates in the order of the pool."""
        order = slice_positions(self.columns)
        size = int(order.max(initial=-1)) + 1
        place = np.zeros(size, dtype=np.int64)
        place[order] = np.arange(len(order))
        stops = np.cumsum(self.counts).tolist()
        for edge_type, count, stop in zip(self.edge_types, self.counts, stops, strict=True):
            own = slice(self.own.start + stop - count, self.own.start + stop)
            others = (slice(0, own.start), slice(own.stop, size)) if self.in_batch else self.others
            columns = joined_slices([own, *others])
            at = torch.from_numpy(place[slice_positions(columns)])
            log_q = None if self.log_q is None else self.log_q[at]
            rows = slice(stop - count, stop)
            if self.in_batch:
                mask = self.mask[rows][:, at]
            else:  # the targets of an edge's fellows are no negatives
                mask = torch.cat(
                    [~torch.eye(count, dtype=torch.bool, device=self.mask.device), self.mask[rows, 1:]], dim=1
                )
            yield RelationLinks(edge_type, self.sources[rows], columns, mask, log_q)


def joined_slices(slices: Sequence[slice]) -> tuple[slice, ...]:
    """Slices in their order, without empty ones; adjacent ones are merged, since one slice needs no copy."""
    joined: list[slice] = [slices[0]]
    for piece in slices[1:]:
        if piece.start == joined[-1].stop:
            joined[-1] = slice(joined[-1].start, piece.stop)
        elif piece.stop > piece.start:
            joined.append(piece)
    return tuple(joined)


def slice_positions(slices: Sequence[slice]) -> IntArray:
    """All positions of some slices, in their order."""
    return np.concatenate([np.arange(piece.start, piece.stop) for piece in slices])


def sliced(values: Tensor, slices: Sequence[slice], dim: int = 0) -> Tensor:
    """Slices of a tensor along a dimension, concatenated."""
    pieces = [values.narrow(dim, piece.start, piece.stop - piece.start) for piece in slices]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim)


@dataclass(frozen=True, slots=True)
class LinkTargets(Targets):
    """Edges of some relations to tell apart from negatives. Those with the same target type share candidates."""

    groups: tuple[TypeLinks, ...]
    pools: dict[NodeType, CandidatePool]
    ids: dict[EdgeType, Tensor] = field(default_factory=dict)
    """Ids [B] of the edges, in the order of their group's sources, where the head reads their own inputs."""
    inputs: dict[str, Tensor] = field(default_factory=dict)
    """[B, F]: see EdgeTargets."""

    @property
    def scored(self) -> Mapping[EdgeType, Tensor]:
        """See Targets."""
        return self.ids

    def with_inputs(self, edge_type: EdgeType, inputs: Mapping[str, Tensor]) -> LinkTargets:
        """See Targets."""
        return dataclasses.replace(self, inputs={**self.inputs, **inputs})

    @property
    def links(self) -> tuple[RelationLinks, ...]:
        """See Targets."""
        found: list[RelationLinks] = []
        for group in self.groups:
            found += group.by_relation()
        return tuple(found)

    @property
    def has_links(self) -> bool:
        """See Targets."""
        return bool(self.groups)


def link_parts(targets: Targets | None) -> tuple[RelationLinks, ...]:
    """`Targets.links`; empty without targets."""
    return () if targets is None else targets.links


@dataclass(frozen=True, slots=True)
class Messages:
    """A place of texts in a batch: the edges of a type that lead to the seeds."""

    edge_type: EdgeType


TextPlace: TypeAlias = RowType | Messages
"""A node type: its input nodes. An edge type: the edges that are scored. Messages: the edges next to the seeds."""


def row_type_of(place: TextPlace) -> RowType:
    """The node or edge type of a TextPlace."""
    return place.edge_type if isinstance(place, Messages) else place


@dataclass(frozen=True, slots=True)
class TrainedTexts:
    """Texts of one input of a place that get gradients.

    at [M]: positions of their nodes or edges in the place. batches: TextBatches, whose vectors, concatenated, belong to
    the rows `at`. unique [U]: numbers of their distinct texts, or pieces of texts, in the order of the batches.
    """

    at: Tensor
    batches: tuple[Any, ...]
    unique: Tensor


@dataclass(frozen=True, slots=True)
class MiniBatch:
    """Always heterogeneous: a homogeneous graph has one node type and one edge type."""

    seeds: dict[NodeType, Tensor]
    """[S] distinct node ids; with `seed_times`, distinct pairs of id and time."""
    position: StreamPosition
    targets: Targets | None = None
    asked: dict[EdgeType, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """(source ids, target ids) of the edges that the step predicts, on all ranks."""
    weight: float = 1.0
    """0: this rank has no rows in this step, and only takes part in the collective operations."""
    blocks: tuple[Block, ...] = ()
    """From the outermost layer to the one next to the seeds; edge inputs are in their relations."""
    input_ids: dict[NodeType, Tensor] = field(default_factory=dict)
    """[N] node ids; the seeds come first."""
    features: dict[NodeType, dict[str, Any]] = field(default_factory=dict)
    """[N, F] tensors, or SparseRows of tensors; cached text vectors are features too, named `text:<name>`."""
    texts: dict[TextPlace, dict[str, TrainedTexts]] = field(default_factory=dict)
    """By the same names: texts for a language model in training. Their vectors replace rows of the inputs."""
    seed_times: dict[NodeType, Tensor] = field(default_factory=dict)
    """[S]: points in time of the seeds that have others than their nodes' own (`sampling.clock`)."""

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
        arrays = (r.rows, r.offsets, r.sources, r.edge_ids)
        rows, offsets, sources, edge_ids = (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
        ages = None if r.ages is None else torch.from_numpy(r.ages)
        return Relation(rows, offsets, sources, edge_ids, ages=ages)

    blocks = []
    for block in subgraph.blocks:
        relations = {edge_type: relation(r) for edge_type, r in block.relations.items()}
        blocks.append(Block(block.num_src, block.num_dst, relations))
    return tuple(blocks), {t: torch.from_numpy(ids) for t, ids in subgraph.input_ids.items()}
