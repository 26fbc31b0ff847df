"""Negatives from lists: for each source the wrong targets that score best.

    list(s) = the targets t by descending score(s, t), without training targets of s, s itself, the `skip` best, and
              those with score(s, t) >= below * max over training targets t' of score(s, t')

Training targets alone are known here, as everywhere in training: held-out edges are neither used nor avoided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.negatives.mined import MinedNegativesConfig
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.listed import ListedNegatives
from graphstorm_like.sampling.true_targets import TrueTargets

Scores: TypeAlias = npt.NDArray[np.float32]
ScoreBlock = Callable[[IntArray], Scores]
"""Source ids [n] -> scores [n, targets] of all targets; new arrays, which may be changed."""

BLOCK = 16_000_000
"""Scores that are held at once."""


class MinedNegatives(ListedNegatives):
    """See module. `sources`: by relation, the sources that have training edges, ascending; `lists`: by relation, [n, K]
    targets of each, -1 where there are fewer."""

    def __init__(
        self, config: MinedNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]
    ) -> None:
        super().__init__(config, graph, true_targets)
        self.true_targets = true_targets
        self.num_targets = {e: graph.manifest.node(e[2]).count for e in true_targets}
        self.sources = {e: np.unique(true.all_pairs()[0]) for e, true in true_targets.items()}
        self.lists: dict[EdgeType, IntArray] = {}

    def mine_once(self, graph: Graph, scores: Callable[[EdgeType], ScoreBlock]) -> None:
        """Make the lists of all relations by scores that never change; the processes of a host share them."""
        for edge_type in self.true_targets:
            known = blake2b(np.stack(self.true_targets[edge_type].all_pairs()).tobytes(), digest_size=12).hexdigest()
            name = f"mined:{edge_name(edge_type)}:{known}:{self.config.model_dump_json()}"

            def make(edge_type: EdgeType = edge_type) -> IntArray:
                return self.mined(edge_type, self.sources[edge_type], scores(edge_type), positive=True)

            self.lists[edge_type] = once_a_host(graph, name, make)

    def mined(self, edge_type: EdgeType, sources: IntArray, scores: ScoreBlock, positive: bool) -> IntArray:
        """[n, K] lists of some sources. positive: only targets whose score is above 0."""
        size = max(1, BLOCK // max(self.num_targets[edge_type], 1))
        lists = [np.empty((0, self.config.candidates), dtype=np.int64)]
        for start in range(0, len(sources), size):
            block = sources[start : start + size]
            rows, known = self.true_targets[edge_type].pairs(block)
            own = block if edge_type[0] == edge_type[2] else None
            lists.append(best_wrong(scores(block), rows, known, own, self.config, positive))
        return np.concatenate(lists)

    def given(self, edge_type: EdgeType, source: IntArray, target: IntArray) -> IntArray | None:
        """See ListedNegatives."""
        if edge_type not in self.lists:
            return None
        known = self.sources[edge_type]
        places = np.minimum(np.searchsorted(known, source), len(known) - 1)
        has_list = known[places] == source  # not so of sources without training edges, which attacks ask for
        given: IntArray = np.where(has_list[:, None], self.lists[edge_type][places], -1)
        return given


def best_wrong(
    scores: Scores, rows: IntArray, known: IntArray, own: IntArray | None, config: MinedNegativesConfig, positive: bool
) -> IntArray:
    """[n, candidates] of the lists of n sources; -1: none. scores [n, targets] is changed. rows, known: training
    targets and the rows that they belong to; own [n]: the sources, where they are targets too."""
    best = np.full(len(scores), -np.inf, dtype=np.float32)
    np.maximum.at(best, rows, scores[rows, known])
    scores[rows, known] = -np.inf
    if own is not None:
        scores[np.arange(len(own)), own] = -np.inf
    if positive:
        scores[scores <= 0] = -np.inf
    if config.below is not None:
        # Of negative scores, below * best would be above the best.
        limit = best - (1.0 - config.below) * np.abs(best)
        scores[scores >= limit[:, None]] = -np.inf
    wanted = min(config.candidates + config.skip, scores.shape[1])
    top = np.argpartition(-scores, wanted - 1, axis=1)[:, :wanted]
    top.sort(axis=1)  # equal scores: the lower number first
    of_top = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-of_top, axis=1, kind="stable")[:, config.skip :]
    found = np.where(
        np.take_along_axis(of_top, order, axis=1) > -np.inf, np.take_along_axis(top, order, axis=1), np.int64(-1)
    )
    lists = np.full((len(scores), config.candidates), -1, dtype=np.int64)
    lists[:, : found.shape[1]] = found
    return lists
