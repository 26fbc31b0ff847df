"""The graph alone: labels of training neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.outcome import Setting

HOPS = (1, 2, 3)
"""Steps to the neighbours that vote: 1: neighbours; 2: neighbours of neighbours, e.g. bought by the same users."""


@LABELS.register
class NeighbourVote(Baseline[LabelData]):
    """The mean label of the training nodes that a random walk of so many steps ends at; for an edge, that of the other
    training edges at its ends."""

    name, reads = "neighbour vote", "graph"

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        return None if data.node_type is None else data.union.unfit()

    def estimate(self, data: LabelData) -> float:
        """See Baseline."""
        return 5e-8 * data.union.edges * (1 + data.kind.classes) + 3e-7 * data.union.edges

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        if data.node_type is None:
            rows = edge_votes(data)
            yield data.setting("edges at the same ends", rows, data.kind.from_votes)
            return
        walked = training_labels(data)
        at = data.union.first[data.node_type] + data.ids
        for hops in HOPS:
            walked = data.union.walk @ walked
            yield data.setting(f"{hops} hops" if hops > 1 else "1 hop", walked[at], data.kind.from_votes)


def training_labels(data: LabelData) -> npt.NDArray[np.float32]:
    """[nodes of all types, V + 1]: votes of the training nodes and a 1, all others 0."""
    assert data.node_type is not None
    train = data.union.first[data.node_type] + data.ids[data.part["train"]]
    own = _with_weight(data.kind.votes)
    known = np.zeros((data.union.count, own.shape[1]), dtype=np.float32)
    known[train] = own
    return known


def edge_votes(data: LabelData) -> Any:
    """Of each labelled edge: sums over the other training edges from its source, and over those into its target."""
    of_training = _with_weight(data.kind.votes)
    own = np.zeros((len(data.ids), of_training.shape[1]), dtype=np.float32)
    own[data.part["train"]] = of_training
    votes = np.zeros_like(own)
    for _, ends in data.places[1:]:
        _, at = np.unique(ends, return_inverse=True)
        sums = np.zeros((at.max() + 1, own.shape[1]), dtype=np.float32)
        np.add.at(sums, at, own)
        votes += sums[at] - own
    return votes


def _with_weight(votes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.concatenate([votes, np.ones((len(votes), 1), dtype=np.float32)], axis=1)
