"""Texts of nodes and edges as sparse TF-IDF rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.store import Graph, IntArray, RowType

FEW_TEXTS = 1000
"""With fewer texts to learn from, terms that occur once are kept too."""


def text_names(graph: Graph, row_type: RowType) -> list[str]:
    """Names of all texts of a node or edge type."""
    manifest = graph.manifest
    return list((manifest.node(row_type) if isinstance(row_type, str) else manifest.edge(row_type)).text)


def joined_texts(graph: Graph, row_type: RowType, ids: IntArray | None = None) -> list[str]:
    """All texts of some rows of a type (None: all rows), joined; missing ones are empty."""
    columns = []
    for name in text_names(graph, row_type):
        column = graph.text(row_type, name)
        columns.append((column if ids is None else column.take(pa.array(ids))).to_pylist())
    return ["\n".join(text or "" for text in row) for row in zip(*columns, strict=True)]


def tfidf(texts: Sequence[str], fit_on: IntArray | None = None) -> Any:
    """Sparse [texts, terms] of length 1: words and pairs of words, sublinear counts. Terms and document frequencies
    are those of the texts `fit_on`; None: of all. None of the texts may have a word: then there are no columns."""
    import scipy.sparse as sp
    from sklearn.feature_extraction.text import TfidfVectorizer

    learnt = list(texts) if fit_on is None else [texts[row] for row in fit_on]
    rare = 1 if len(learnt) < FEW_TEXTS else 3
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=rare, ngram_range=(1, 2), dtype=np.float32)
    try:
        vectorizer.fit(learnt)
    except ValueError:  # no words at all
        return sp.csr_matrix((len(texts), 0), dtype=np.float32)
    return vectorizer.transform(texts)
