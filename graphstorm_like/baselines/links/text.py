"""Texts alone: targets whose text is like the source's, and targets of sources whose text is like the source's."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphstorm_like.baselines.links.base import LINKS, LinkBaseline
from graphstorm_like.baselines.links.relation import Relation, Rows, Scorer
from graphstorm_like.graph.store import IntArray, NodeType

NEIGHBOURS = 50
"""Sources that vote, at most."""


@LINKS.register
class TextCosine(LinkBaseline):
    """Cosine of the TF-IDF rows of both ends."""

    name, reads = "text cosine", "text"
    ways = ("TF-IDF",)

    def lacks(self, relation: Relation) -> str | None:
        """See LinkBaseline."""
        source, _, target = relation.edge_type
        return _without_text(relation, source) or _without_text(relation, target)

    def scorer(self, relation: Relation, way: str) -> Scorer:
        """See LinkBaseline."""
        source, _, target = relation.edge_type
        terms = relation.shared.terms(source, target)
        of_sources = terms[source]
        of_targets = relation.shared.once(("targets' terms", source, target), lambda: terms[target].T.tocsc())

        def cosine(sources: IntArray) -> Rows:
            return np.asarray((of_sources[sources] @ of_targets).toarray(), dtype=np.float32)

        return cosine


@LINKS.register
class TextNeighbours(LinkBaseline):
    """The sources with training edges whose texts are nearest vote for their targets with their squared cosine."""

    name, reads = "text kNN", "text"
    ways = ("TF-IDF",)

    def lacks(self, relation: Relation) -> str | None:
        """See LinkBaseline."""
        if not len(relation.sources):
            return "there are no training edges"
        return _without_text(relation, relation.edge_type[0])

    def scorer(self, relation: Relation, way: str) -> Scorer:
        """See LinkBaseline."""
        terms = relation.shared.terms(relation.edge_type[0])[relation.edge_type[0]]
        teachers = np.flatnonzero(np.diff(relation.train.indptr))
        of_teachers = terms[teachers].T.tocsc()
        return lambda sources: _votes(relation, terms, teachers, of_teachers, sources)


def _without_text(relation: Relation, node_type: NodeType) -> str | None:
    return None if relation.shared.has_text(node_type) else f"nodes of type {node_type} have no text"


def _votes(relation: Relation, terms: Any, teachers: IntArray, of_teachers: Any, sources: IntArray) -> Rows:
    """[n, targets]"""
    import scipy.sparse as sp

    cosine = np.asarray((terms[sources] @ of_teachers).toarray(), dtype=np.float32)
    cosine[sources[:, None] == teachers[None, :]] = 0  # a source's own training targets are no candidates
    count = min(NEIGHBOURS, len(teachers))
    nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
    votes = np.take_along_axis(cosine, nearest, axis=1) ** 2
    rows = np.repeat(np.arange(len(sources)), count)
    chosen = sp.csr_matrix((votes.ravel(), (rows, nearest.ravel())), shape=cosine.shape)
    return np.asarray((chosen @ relation.train[teachers]).toarray(), dtype=np.float32)
