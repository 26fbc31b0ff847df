"""A graph of near vectors, walked from far to near (hierarchical navigable small world)."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.search import HnswSearchConfig
from graphstorm_like.search.kinds.base import INDEXES
from graphstorm_like.search.kinds.faiss_index import FaissIndex


@INDEXES.register(HnswSearchConfig)
class HnswIndex(FaissIndex):
    """See module."""

    config: HnswSearchConfig

    def make(self, faiss: Any, count: int, width: int) -> Any:
        """Links by inner product."""
        index = faiss.IndexHNSWFlat(width, self.config.neighbours, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.config.build_effort
        return index

    def prepare_search(self, index: Any, k: int) -> None:
        """How many candidates are kept while walking."""
        index.hnsw.efSearch = max(self.config.search_effort, k)
