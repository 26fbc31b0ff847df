"""Other relations alone: what has an edge of one relation often has one of another, or of its inverse.

Rules (s, q, t) -> (s, r, t), q another relation or the inverse of one, r's own included (symmetry), each with its
confidence: the pairs that q and r have in common among training edges, by those of q. The inverse model of Dettmers et
al. (2018), "Convolutional 2D Knowledge Graph Embeddings", and the rules of length 1 of Meilicke et al. (2018),
"Fine-Grained Evaluation of Rule- and Embedding-Based Systems", and (2019) for the pairs that are added to each rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.baselines.links.base import LINKS, LinkBaseline
from graphstorm_like.baselines.links.relation import Relation, Rows, Scorer
from graphstorm_like.baselines.links.shared import Shared
from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import inverse_of, stored
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.store import IntArray, NodeType

UNSEEN = 5
"""Pairs without an edge of r that are added to those of each rule: few pairs make no sure rule."""


@LINKS.register
class OtherRelations(LinkBaseline):
    """Best rule: the confidence of the surest rule that gives a pair. All rules: 1 - product of (1 - confidence) over
    those that do."""

    name, reads = "same pair, other relation", "graph"
    ways = ("best rule", "all rules")

    def lacks(self, relation: Relation) -> str | None:
        """See LinkBaseline."""
        weights = _pairs(relation).confidence(relation.edge_type)
        return None if weights.any() else "no other relation has edges between the same nodes"

    def scorer(self, relation: Relation, way: str) -> Scorer:
        """See LinkBaseline."""
        pairs = _pairs(relation)
        weights = pairs.confidence(relation.edge_type)
        scores = pairs.best(weights) if way == "best rule" else pairs.together(weights)

        def of_pairs(sources: IntArray) -> Rows:
            return np.asarray(scores[sources].toarray(), dtype=np.float32)

        return of_pairs


class Pairs:
    """Pairs of nodes of two types, and which relations have edges between them: all of the graph, in both directions,
    without edges that the task hides."""

    def __init__(self, shared: Shared, source: NodeType, target: NodeType) -> None:
        import scipy.sparse as sp

        self.shape = (shared.count(source), shared.count(target))
        self.relations: list[EdgeType] = []
        keys, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for edge_type in _both_directions(shared):
            if (edge_type[0], edge_type[2]) == (source, target):
                of_relation = np.unique(self._keys(shared, edge_type))
                keys.append(of_relation)
                columns.append(np.full(len(of_relation), len(self.relations)))
                self.relations.append(edge_type)
        self.keys, rows = np.unique(np.concatenate(keys), return_inverse=True)
        ones = np.ones(len(rows), dtype=np.float64)
        where = (rows, np.concatenate(columns))
        self.has = sp.csr_matrix((ones, where), shape=(len(self.keys), len(self.relations)))
        self._targets = self.keys % self.shape[1]
        self._starts = np.searchsorted(self.keys, np.arange(self.shape[0] + 1) * self.shape[1])
        self.common = (self.has.T @ self.has).toarray()
        """Pairs [R, R] that two relations have in common."""

    def _keys(self, shared: Shared, edge_type: EdgeType) -> IntArray:
        sources, targets = directed_edges(shared.graph, edge_type)
        shown = np.ones(len(sources), dtype=bool)
        shown[shared.graph.hidden_rows(stored(edge_type))] = False
        return sources[shown] * self.shape[1] + targets[shown]

    def confidence(self, edge_type: EdgeType) -> npt.NDArray[np.float64]:
        """[R]: of the rule from each relation to this one; 0 from itself."""
        number = self.relations.index(edge_type)
        found: npt.NDArray[np.float64] = self.common[:, number] / (self.common.diagonal() + UNSEEN)
        found[number] = 0.0
        return found

    def best(self, confidence: npt.NDArray[np.float64]) -> Any:
        """Sparse [sources, targets]: the largest confidence of a pair."""
        of_rules = confidence[self.has.indices]
        return self._placed(np.maximum.reduceat(of_rules, self.has.indptr[:-1]) if len(of_rules) else of_rules)

    def together(self, confidence: npt.NDArray[np.float64]) -> Any:
        """Sparse [sources, targets]: the chance that one of a pair's rules is right, if each is by itself."""
        return self._placed(-np.expm1(self.has @ np.log1p(-confidence)))

    def _placed(self, scores: npt.NDArray[np.float64]) -> Any:
        """Pairs ascend by source, then target: they are a matrix as they are."""
        import scipy.sparse as sp

        return sp.csr_matrix((scores.astype(np.float32), self._targets, self._starts), shape=self.shape)


def _both_directions(shared: Shared) -> list[EdgeType]:
    originals = shared.graph.manifest.original_edge_types()
    return [*originals, *map(inverse_of, originals)]


def _pairs(relation: Relation) -> Pairs:
    source, _, target = relation.edge_type
    return relation.shared.once(("pairs", source, target), lambda: Pairs(relation.shared, source, target))
