"""The graph alone: labels of training neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData
from graphstorm_like.baselines.outcome import Setting

HOPS = (1, 2, 3)
"""Steps to the neighbours that vote: 1: neighbours; 2: neighbours of neighbours, e.g. bought by the same users."""


class NeighbourVote(LabelBaseline):
    """The mean label of the training nodes that a random walk of so many steps ends at; for an edge, that of the other
    training edges at its ends."""

    name = "neighbour vote"

    def unfit(self, data: LabelData) -> str | None:
        """See LabelBaseline."""
        return None if data.node_type is None else data.union.unfit()

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See LabelBaseline."""
        if data.node_type is None:
            rows = edge_votes(data)
            yield data.settings("edges at the same ends", rows, data.from_votes)
            return
        walked = training_labels(data)
        at = data.union.first[data.node_type] + data.ids
        for hops in HOPS:
            walked = data.union.walk @ walked
            yield data.settings(f"{hops} hops" if hops > 1 else "1 hop", walked[at], data.from_votes)


def training_labels(data: LabelData) -> npt.NDArray[np.float32]:
    """[nodes of all types, C or 1, and a 1]: of the training nodes, all others 0."""
    assert data.node_type is not None
    train = data.union.first[data.node_type] + data.ids[data.part["train"]]
    known = np.zeros((data.union.count, data.one_hot.shape[1] + 1), dtype=np.float32)
    known[train] = np.concatenate([data.one_hot, np.ones((len(train), 1), dtype=np.float32)], axis=1)
    return known


def edge_votes(data: LabelData) -> Any:
    """Of each labelled edge: sums over the other training edges from its source, and over those into its target."""
    train = data.part["train"]
    own = np.zeros((len(data.ids), data.one_hot.shape[1] + 1), dtype=np.float32)
    own[train] = np.concatenate([data.one_hot, np.ones((len(data.one_hot), 1), dtype=np.float32)], axis=1)
    votes = np.zeros_like(own)
    for _, ends in data.places[1:]:
        _, at = np.unique(ends, return_inverse=True)
        sums = np.zeros((at.max() + 1, own.shape[1]), dtype=np.float32)
        np.add.at(sums, at, own)
        votes += sums[at] - own
    return votes
