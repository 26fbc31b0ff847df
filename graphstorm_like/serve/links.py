"""The best targets of sources, with a request's new nodes and edges as if they were in the graph: what
`gsl apply --attach` ranks.

All targets are ranked by the vectors that were computed once. A request's edges change the vectors of the nodes that
they lead to, and of those behind them, as far as the model has layers: these are computed anew, and ranked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.config.search import SearchConfig
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.search.kinds import INDEXES, VectorIndex
from graphstorm_like.serve.changed import changed_nodes
from graphstorm_like.serve.engine import Engine, NewRows
from graphstorm_like.tasks.links import LinkRanker

MOST_CHANGED = 1_000
"""Targets whose vectors are computed anew for a request, at most; of more, those in the graph alone are taken."""
NOTHING = np.empty(0, dtype=np.int64)

Floats = npt.NDArray[np.float32]


class Links:
    """Of one relation of a task of link prediction, or of the inverse of one. known: gives the vectors [count, D] of
    all known nodes of a type. search: how the best targets are found."""

    def __init__(
        self, engine: Engine, ranker: LinkRanker, known: Callable[[NodeType], Vectors], search: SearchConfig
    ) -> None:
        self.engine, self.ranker, self._known, self._search = engine, ranker, known, search
        self._policy = engine.applied.config.known_pairs

    def best(
        self, positions: IntArray, vectors: Vectors, new: NewRows | None, k: int
    ) -> tuple[list[tuple[IntArray, Floats]], bool]:
        """Of each of n sources, by their positions and vectors [n, D]: (positions of up to k targets, their scores),
        best first; and whether all scores are exact."""
        queries, target = self.ranker.queries(vectors), self.ranker.edge_type[2]
        fresh, exact = self._fresh(new)
        excluded = self._excluded(positions, new)
        count = self.engine.graph.manifest.node(target).count
        fetched = min(k + max(map(len, excluded), default=0) + len(fresh), count)
        scores, rows = self._ranked(queries, fetched)
        if len(fresh):
            keys = self.ranker.keys(self.engine.vectors(target, fresh, new))
            again = self.ranker.scores(queries, keys).cpu().numpy()
        else:
            again = np.empty((len(positions), 0), dtype=np.float32)
        return [_merged(rows[i], scores[i], fresh, again[i], excluded[i], k) for i in range(len(positions))], exact

    def _fresh(self, new: NewRows | None) -> tuple[IntArray, bool]:
        """Positions of the targets that must be ranked by vectors with the new rows: changed known ones, and new ones;
        and whether these are all."""
        if new is None:
            return NOTHING, True
        target = self.ranker.edge_type[2]
        own = new.first(target) + np.arange(len(new.ids.get(target, ())))
        if not self.engine.is_exact:
            return own, False
        changed = changed_nodes(self.engine.graph, new.overlay, self.engine.layers)[target]
        if len(changed) > MOST_CHANGED:
            return own, False
        return np.concatenate([changed, own]), True

    def _excluded(self, positions: IntArray, new: NewRows | None) -> list[IntArray]:
        """What each source must not get: its targets, by infer.known_pairs, and itself where it cannot be one."""
        excluded = []
        for position in positions:
            pairs = [*self._linked(int(position), new)] if self._policy != "list" else []
            if self.ranker.excludes_source:
                pairs.append(np.array([position]))
            excluded.append(np.unique(np.concatenate(pairs)) if pairs else NOTHING)
        return excluded

    def _linked(self, position: int, new: NewRows | None) -> list[IntArray]:
        """Targets that the graph and the request link a source to; both ways where the configuration says so."""
        edge_type = self.ranker.edge_type
        sources, targets = (NOTHING, NOTHING) if new is None else new.overlay.new_edges(stored(edge_type))
        if is_inverse(edge_type):
            sources, targets = targets, sources
        ways = [(sources, targets, self.ranker.known)]
        if self._policy == "exclude_both_ways" and edge_type[0] == edge_type[2]:
            ways.append((targets, sources, self._backwards))
        linked = []
        for these, those, known in ways:
            linked.append(those[these == position])
            if position < self.engine.graph.manifest.node(edge_type[0]).count:
                linked.append(known.pairs(np.array([position]))[1])
        return linked

    @cached_property
    def _backwards(self) -> TrueTargets:
        source, target = directed_edges(self.engine.graph, self.ranker.edge_type)
        return TrueTargets(target, source, self.engine.graph.manifest.node(self.ranker.edge_type[0]).count)

    @cached_property
    def _index(self) -> VectorIndex | None:
        """An index of the targets; None: the head's scores are no inner products."""
        if not self.ranker.head.is_inner_product:
            return None
        keys = self.ranker.keys(np.array(self._known(self.ranker.edge_type[2])))
        index = INDEXES.of(self._search)(self._search, keys.cpu().numpy())
        index.build()
        return index

    def _ranked(self, queries: Any, k: int) -> tuple[Floats, IntArray]:
        """(scores [n, k], positions [n, k]) of known targets by their vectors in the graph alone; -1: no more."""
        if self._index is not None:
            return self._index.search(queries.cpu().numpy(), k)
        keys = self.ranker.keys(np.array(self._known(self.ranker.edge_type[2])))
        best = self.ranker.scores(queries, keys).topk(k, dim=1)
        return best.values.cpu().numpy(), best.indices.cpu().numpy()


def _merged(
    rows: IntArray, scores: Floats, fresh: IntArray, again: Sequence[float], excluded: IntArray, k: int
) -> tuple[IntArray, Floats]:
    """The best k of rows by their scores, `fresh` ones by their scores `again`, without `excluded` ones."""
    stays = (rows >= 0) & ~np.isin(rows, fresh)
    all_rows, all_scores = np.concatenate([rows[stays], fresh]), np.concatenate([scores[stays], again])
    allowed = ~np.isin(all_rows, excluded)
    all_rows, all_scores = all_rows[allowed], all_scores[allowed]
    order = np.lexsort((all_rows, -all_scores))[:k]
    return all_rows[order], all_scores[order]
