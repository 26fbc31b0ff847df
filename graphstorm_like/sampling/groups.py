"""Batches of whole groups of nodes, to compare the members of each, beside nodes with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition, Targets
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice


@dataclass(frozen=True, slots=True)
class GroupTargets(Targets):
    """Pairs of members, and labelled nodes.

    members [M]: positions in the seeds; scores [M, C]; first, second [P]: pairs, as positions in the members. weights
    [P]: of a group's pairs they sum to its members. labelled [G]: positions in the seeds; labels [G]. factor: what the
    sum over labelled nodes is multiplied by, so that over all ranks their mean counts as much as that of the members.
    """

    members: Tensor
    scores: Tensor
    first: Tensor
    second: Tensor
    weights: Tensor
    labelled: Tensor
    labels: Tensor
    factor: float


@dataclass(frozen=True)
class GroupSeeder:
    """Ids of a step are numbers of groups. members: nodes of all groups, one group after the other, group g from
    starts[g] to starts[g + 1]. scores [count, C] and labels [count] of all nodes; labelled: those to learn labels
    from, of which a step draws as many as its groups have members."""

    node_type: NodeType
    members: IntArray
    starts: IntArray
    scores: npt.NDArray[np.float32]
    labels: IntArray
    labelled: IntArray
    most: int
    seed: int
    share: RankSlice = ALL_ROWS

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Groups -> seeds."""
        ids = self.share.arranged(ids)
        chosen = [self._members(group, position) for group in ids.tolist()]  # of all ranks: all know the counts
        total = sum(len(of_group) for of_group in chosen)
        rng = stream(self.seed, "groups", position.epoch, position.step)
        gold = rng.choice(self.labelled, min(total, len(self.labelled)), replace=False)
        own, own_gold = [chosen[number] for number in self.share.of(np.arange(len(ids))).tolist()], self.share.of(gold)
        weight = 1.0 if own or len(own_gold) else 0.0
        if not weight:
            own = chosen[:1]  # a rank without rows takes part all the same
        first, second, weights = pairs_of([len(of_group) for of_group in own])
        nodes = np.concatenate([gold[:0], *own])
        seeds, places = np.unique(np.concatenate([nodes, own_gold]), return_inverse=True)
        at = torch.from_numpy(places)
        targets = GroupTargets(
            at[: len(nodes)],
            torch.from_numpy(self.scores[nodes]),
            torch.from_numpy(first),
            torch.from_numpy(second),
            torch.from_numpy(weights),
            at[len(nodes) :],
            torch.from_numpy(self.labels[own_gold].astype(np.int64)),
            total / max(len(gold), 1),
        )
        return MiniBatch({self.node_type: torch.from_numpy(seeds)}, position, targets, weight=weight)

    def _members(self, group: int, position: StreamPosition) -> IntArray:
        """Those that a step compares: another draw in another epoch where there are too many."""
        members = self.members[self.starts[group] : self.starts[group + 1]]
        if len(members) <= self.most:
            return members
        rng = stream(self.seed, "groups", position.epoch, 0, 1 + group)
        return np.sort(rng.choice(members, self.most, replace=False))


def pairs_of(sizes: Sequence[int]) -> tuple[IntArray, IntArray, npt.NDArray[np.float32]]:
    """(first [P], second [P], weights [P]) of all pairs within groups of these sizes, whose members are numbered one
    group after the other; the weights of a group's pairs sum to its size."""
    firsts, seconds, weights, start = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)], 0
    for size in sizes:
        first, second = np.triu_indices(size, 1)
        firsts.append(first + start)
        seconds.append(second + start)
        weights.append(np.full(len(first), size / max(len(first), 1), dtype=np.float32))
        start += size
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(weights)
