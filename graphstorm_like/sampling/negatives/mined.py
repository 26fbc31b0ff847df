"""Negatives from lists: for each source the wrong targets that score best.

    list(s) = the targets t by descending score(s, t), without training targets of s, s itself, the `skip` best, and
              those with score(s, t) >= below * max over training targets t' of score(s, t')

Training targets alone are known here, as everywhere in training: held-out edges are neither used nor avoided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b

import numpy as np

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.negatives import MinedNegativesConfig
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.best import Pairs, Scorer, best_wrong
from graphstorm_like.sampling.negatives.listed import ListedNegatives
from graphstorm_like.sampling.true_targets import TrueTargets


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

    def mine_once(self, graph: Graph, scores: Callable[[EdgeType], Scorer]) -> None:
        """Make the lists of all relations by scores that never change; the processes of a host share them."""
        for edge_type in self.true_targets:
            known = blake2b(np.stack(self.true_targets[edge_type].all_pairs()).tobytes(), digest_size=12).hexdigest()
            name = f"mined:{edge_name(edge_type)}:{known}:{self.config.model_dump_json()}"

            def make(edge_type: EdgeType = edge_type) -> IntArray:
                return self.mined(edge_type, self.sources[edge_type], scores(edge_type), positive=True)

            self.lists[edge_type] = once_a_host(graph, name, make)

    def mined(self, edge_type: EdgeType, sources: IntArray, scorer: Scorer, positive: bool) -> IntArray:
        """[n, K] lists of some sources. positive: only targets whose score is above 0."""
        lists = [np.empty((0, self.config.candidates), dtype=np.int64)]
        for block in scorer.blocks(sources):
            known = Pairs(*self.true_targets[edge_type].pairs(block))
            own = block if edge_type[0] == edge_type[2] else None
            pieces = partial(scorer.pieces, block)
            lists.append(best_wrong(pieces, known, own, len(block), self.config, positive))
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
