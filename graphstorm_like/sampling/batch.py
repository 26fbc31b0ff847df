"""MiniBatch: all that one training or inference step needs, for any graph.

Legend of shapes: S seeds, N input nodes of a type, E edges, F feature width, B positive edges, K extra negatives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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


@dataclass(frozen=True, slots=True)
class NodeTargets:
    """What is asked of the seeds of one node type: labels [S] (int64 class index, or float32 number)."""

    node_type: NodeType
    labels: Tensor


@dataclass(frozen=True, slots=True)
class EdgeTargets:
    """B labelled edges of one type: ends as positions in the seeds, labels [B] as in NodeTargets, edge ids [B]."""

    edge_type: EdgeType
    sources: Tensor
    targets: Tensor
    labels: Tensor
    ids: Tensor
    inputs: dict[str, Tensor] = field(default_factory=dict)
    """[B, F]: what the edges themselves carry, by name; texts as vectors, named `text:<name>`."""


@dataclass(frozen=True, slots=True)
class LinkTargets:
    """B edges of one type as positions in the seeds, and K negative targets shared by the batch.

    In a job of several ranks each has the B edges of its share, K is what other ranks have too, and `targets` and
    `negatives` are positions in the batch's Pool of the target type.

    mask [B, B + K] is True where candidate j (the target of edge j, then the extra negatives) is no negative of source
    i: another known true target, or the source itself. The true pairs (i, i) are False.
    log_q [B + K]: log of how often each candidate is drawn, to be subtracted from its scores; None: no correction.
    """

    edge_type: EdgeType
    sources: Tensor
    targets: Tensor
    negatives: Tensor
    mask: Tensor
    log_q: Tensor | None = None


@dataclass(frozen=True, slots=True)
class MultiLinkTargets:
    """Edges of several relations. Targets of one relation are negatives of others with the same target type."""

    parts: tuple[LinkTargets, ...]


Targets: TypeAlias = NodeTargets | EdgeTargets | LinkTargets | MultiLinkTargets


def link_parts(targets: Targets | None) -> tuple[LinkTargets, ...]:
    """The relations of which a batch holds links to tell from wrong ones; none for tasks on labels."""
    if isinstance(targets, MultiLinkTargets):
        return targets.parts
    return (targets,) if isinstance(targets, LinkTargets) else ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates of one node type of a step, of all ranks: their vectors [C, D] are gathered, rank after rank.

    mine [C of this rank]: positions in the seeds. sizes: how many each rank brings.
    """

    mine: Tensor
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Messages:
    """Where texts of a batch belong to: the edges of a type that lead to the seeds."""

    edge_type: EdgeType


Place: TypeAlias = RowType | Messages
"""A node type: its input nodes. An edge type: the edges that are scored. Messages: the edges next to the seeds."""


def row_type_of(place: Place) -> RowType:
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
    pools: dict[NodeType, Pool] = field(default_factory=dict)
    """Where links are learnt by several ranks together."""
    weight: float = 1.0
    """0: nothing was left for this rank, which goes through the motions that others wait for."""
    blocks: tuple[Block, ...] = ()
    """From the outermost layer to the one next to the seeds; edge inputs are in their relations."""
    input_ids: dict[NodeType, Tensor] = field(default_factory=dict)
    """[N] node ids; the seeds come first."""
    features: dict[NodeType, dict[str, Tensor]] = field(default_factory=dict)
    """[N, F]; cached text vectors are features too, named `text:<name>`."""
    texts: dict[Place, dict[str, TrainedTexts]] = field(default_factory=dict)
    """By the same names: texts for a language model that learns. Their vectors replace rows of the inputs."""

    def replace(self, **changes: Any) -> MiniBatch:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def rows(self, place: Place) -> Tensor | None:
        """Ids of the nodes or edges of a place; None when there are none."""
        if isinstance(place, str):
            return self.input_ids.get(place)
        if isinstance(place, Messages):
            relation = self.blocks[-1].relations.get(place.edge_type) if self.blocks else None
            return None if relation is None else relation.edge_ids
        targets = self.targets
        return targets.ids if isinstance(targets, EdgeTargets) and targets.edge_type == place else None

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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: map_tensors(getattr(value, f.name), change) for f in dataclasses.fields(value)}
        return type(value)(**changed)
    return value


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
