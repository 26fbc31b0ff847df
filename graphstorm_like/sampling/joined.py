"""Batches of several tasks at once: the seeds of all of them in one sample, and what each task predicts of which.

The neighbours of a step are sampled, and the model runs, once for all tasks. Each task sees its own seeds in its own
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.sampling.batch import MiniBatch, RelationLinks, StreamPosition, Targets
from graphstorm_like.sampling.links import number_nodes
from graphstorm_like.sampling.steps import Seeder


@dataclass(frozen=True, slots=True)
class TaskPart:
    """One task's part of a batch. rows: by node type, positions [S of the task] of its seeds among those of the batch.
    weight: 0 where this rank has no rows of it."""

    rows: dict[NodeType, Tensor]
    targets: Targets | None
    weight: float

    def of(self, batch: MiniBatch) -> MiniBatch:
        """The batch as the task sees it."""
        seeds = {node_type: batch.seeds[node_type][at] for node_type, at in self.rows.items()}
        return MiniBatch(seeds=seeds, position=batch.position, targets=self.targets, weight=self.weight)

    def vectors(self, vectors: Mapping[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """Vectors [S, D] of the batch's seeds -> of the task's."""
        return {node_type: vectors[node_type][at] for node_type, at in self.rows.items()}


@dataclass(frozen=True, slots=True)
class JoinedTargets(Targets):
    """The parts of a batch, in the order of the tasks. reader: the one whose head reads inputs of the scored edges."""

    parts: tuple[TaskPart, ...]
    reader: int | None = None

    @property
    def scored(self) -> Mapping[EdgeType, Tensor]:
        """See Targets."""
        targets = None if self.reader is None else self.parts[self.reader].targets
        return {} if targets is None else targets.scored

    def with_inputs(self, edge_type: EdgeType, inputs: Mapping[str, Tensor]) -> JoinedTargets:
        """See Targets."""
        assert self.reader is not None
        part = self.parts[self.reader]
        assert part.targets is not None
        parts = list(self.parts)
        parts[self.reader] = replace(part, targets=part.targets.with_inputs(edge_type, inputs))
        return replace(self, parts=tuple(parts))

    @property
    def links(self) -> tuple[RelationLinks, ...]:
        """See Targets. Sources are positions in the seeds of their task."""
        found: list[RelationLinks] = []
        for part in self.parts:
            found += () if part.targets is None else part.targets.links
        return tuple(found)

    @property
    def has_links(self) -> bool:
        """See Targets."""
        return any(part.targets is not None and part.targets.has_links for part in self.parts)


@dataclass(frozen=True)
class JoinedSeeder:
    """Seeders of the tasks, whose rows are numbered one task after the other from `starts`. excludes: which tasks'
    edges are excluded from the batch's message passing. reader: see JoinedTargets."""

    seeders: Sequence[Seeder]
    starts: Sequence[int]
    excludes: Sequence[bool]
    reader: int | None = None

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Rows of all tasks -> one batch."""
        ends = [*self.starts[1:], np.iinfo(np.int64).max]
        batches = []
        for seeder, start, end in zip(self.seeders, self.starts, ends, strict=True):
            batches.append(seeder(ids[(ids >= start) & (ids < end)] - start, position))
        places = [(i, node_type) for i, batch in enumerate(batches) for node_type in batch.seeds]
        seeds, positions = number_nodes([(t, batches[i].seeds[t].numpy()) for i, t in places])
        rows: list[dict[NodeType, Tensor]] = [{} for _ in batches]
        for (i, node_type), at in zip(places, positions, strict=True):
            rows[i][node_type] = at
        parts = [TaskPart(of, batch.targets, batch.weight) for of, batch in zip(rows, batches, strict=True)]
        excluded = [batch for batch, excludes in zip(batches, self.excludes, strict=True) if excludes]
        targets = JoinedTargets(tuple(parts), self.reader)
        return MiniBatch(seeds=seeds, position=position, targets=targets, asked=_joined_ends(excluded))


def _joined_ends(batches: Sequence[MiniBatch]) -> dict[EdgeType, tuple[Tensor, Tensor]]:
    """Ends of the edges that the batches ask for, by type."""
    ends: dict[EdgeType, tuple[Tensor, Tensor]] = {}
    for batch in batches:
        for edge_type, (source, target) in batch.asked.items():
            if edge_type in ends:
                known_source, known_target = ends[edge_type]
                source, target = torch.cat([known_source, source]), torch.cat([known_target, target])
            ends[edge_type] = (source, target)
    return ends
