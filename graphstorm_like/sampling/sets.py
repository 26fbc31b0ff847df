"""Batches of sets of nodes: the members of each are the seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition, Targets
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.steps import label_tensor, some_of


@dataclass(frozen=True, slots=True)
class SetTargets(Targets):
    """S sets with labels [S] or [S, C]: members [M] as positions in the seeds, and the sets [M] that they are of."""

    labels: Tensor
    members: Tensor
    sets: Tensor


@dataclass(frozen=True)
class Members:
    """Ids of the members of each set: those of set s from starts[s] to starts[s + 1], each once, ascending."""

    ids: IntArray
    starts: IntArray

    @classmethod
    def read(cls, graph: Graph, edge_type: tuple[str, str, str], set_type: NodeType) -> Members:
        """From the edges between sets and members."""
        source, target = graph.edges(edge_type)
        sets, members = (source, target) if edge_type[0] == set_type else (target, source)
        pairs = np.unique(np.stack([sets, members], axis=1), axis=0)
        counts = np.bincount(pairs[:, 0], minlength=graph.manifest.node(set_type).count)
        return cls(pairs[:, 1], np.concatenate([[0], np.cumsum(counts)]))

    def of(self, sets: IntArray) -> tuple[IntArray, IntArray]:
        """(ids [M] of the members of some sets, which of the sets [M] they are of)."""
        counts = self.starts[sets + 1] - self.starts[sets]
        numbers = np.repeat(np.arange(len(sets)), counts)
        within = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.ids[np.repeat(self.starts[sets], counts) + within], numbers


@dataclass(frozen=True)
class SetSeeder:
    """Ids of a step are sets. labels [count]: of all sets; most: members of a set that a step reads."""

    member_type: NodeType
    members: Members
    labels: npt.NDArray[Any]
    most: int
    seed: int
    share: RankSlice = ALL_ROWS

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Sets -> their members as seeds."""
        mine, weight = some_of(self.share, ids)
        found, sets = self._some(mine, position)
        seeds, places = np.unique(found, return_inverse=True)
        targets = SetTargets(label_tensor(self.labels[mine]), torch.from_numpy(places), torch.from_numpy(sets))
        return MiniBatch({self.member_type: torch.from_numpy(seeds)}, position, targets, weight=weight)

    def _some(self, chosen: IntArray, position: StreamPosition) -> tuple[IntArray, IntArray]:
        """The members of sets, of large ones a draw that depends on the set and the epoch."""
        found, sets = self.members.of(chosen)
        sizes = np.bincount(sets, minlength=len(chosen))
        if sizes.max(initial=0) <= self.most:
            return found, sets
        kept = []
        for number, start in enumerate(np.cumsum(sizes) - sizes):
            rows = np.arange(start, start + sizes[number])
            if len(rows) > self.most:
                rng = stream(self.seed, "groups", position.epoch, 0, 1 + int(chosen[number]))
                rows = np.sort(rng.choice(rows, self.most, replace=False))
            kept.append(rows)
        at = np.concatenate(kept)
        return found[at], sets[at]
