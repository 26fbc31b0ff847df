"""Texts alone: targets whose text is like the source's, and targets of sources whose text is like the source's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphstorm_like.baselines.links.base import LinkBaseline, LinkData, Rows
from graphstorm_like.baselines.outcome import Setting
from graphstorm_like.baselines.terms import joined_texts, text_names, tfidf
from graphstorm_like.graph.store import IntArray

NEIGHBOURS = 50
"""Sources that vote, at most."""


class TextCosine(LinkBaseline):
    """Cosine of the TF-IDF rows of both ends."""

    name = "text cosine"

    def unfit(self, data: LinkData) -> str | None:
        """See LinkBaseline."""
        for end in (data.edge_type[0], data.edge_type[2]):
            if not text_names(data.graph, end):
                return f"nodes of type {end} have no text"
        return None

    def settings(self, data: LinkData) -> Iterator[Setting]:
        """See LinkBaseline."""
        source, _, target = data.edge_type
        texts = [joined_texts(data.graph, end) for end in dict.fromkeys((source, target))]
        terms = tfidf([text for of_end in texts for text in of_end])
        of_sources, of_targets = terms[: data.shape[0]], terms[-data.shape[1] :].T.tocsc()

        def cosine(sources: IntArray) -> Rows:
            return np.asarray((of_sources[sources] @ of_targets).toarray(), dtype=np.float32)

        return data.ranked("TF-IDF", cosine)


class TextNeighbours(LinkBaseline):
    """The sources with training edges whose texts are nearest vote for their targets with their squared cosine."""

    name = "text kNN"

    def unfit(self, data: LinkData) -> str | None:
        """See LinkBaseline."""
        if not text_names(data.graph, data.edge_type[0]):
            return f"nodes of type {data.edge_type[0]} have no text"
        return None

    def settings(self, data: LinkData) -> Iterator[Setting]:
        """See LinkBaseline."""
        terms = tfidf(joined_texts(data.graph, data.edge_type[0]))
        teachers = np.flatnonzero(np.diff(data.train.indptr))
        of_teachers = terms[teachers].T.tocsc()
        return data.ranked("TF-IDF", lambda sources: _votes(data, terms, teachers, of_teachers, sources))


def _votes(data: LinkData, terms: Any, teachers: IntArray, of_teachers: Any, sources: IntArray) -> Rows:
    """[n, targets]"""
    import scipy.sparse as sp

    cosine = np.asarray((terms[sources] @ of_teachers).toarray(), dtype=np.float32)
    cosine[sources[:, None] == teachers[None, :]] = 0  # a source's own training targets are no candidates
    count = min(NEIGHBOURS, len(teachers))
    nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
    votes = np.take_along_axis(cosine, nearest, axis=1) ** 2
    rows = np.repeat(np.arange(len(sources)), count)
    chosen = sp.csr_matrix((votes.ravel(), (rows, nearest.ravel())), shape=cosine.shape)
    return np.asarray((chosen @ data.train[teachers]).toarray(), dtype=np.float32)
