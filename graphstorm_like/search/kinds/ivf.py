"""Vectors in lists by their nearest centre (inverted file); the lists nearest to a query are compared."""

from __future__ import annotations

import math
from typing import Any

from graphstorm_like.config.search import IvfSearchConfig
from graphstorm_like.search.kinds.base import INDEXES
from graphstorm_like.search.kinds.faiss_index import FaissIndex

LEARN_PER_LIST = 39
"""Vectors that faiss wants for each centre."""


@INDEXES.register(IvfSearchConfig)
class IvfIndex(FaissIndex):
    """See module."""

    config: IvfSearchConfig

    def make(self, faiss: Any, count: int, width: int) -> Any:
        """Centres by k-means with a seed: the same index every time."""
        lists = self.config.lists or max(1, round(4 * math.sqrt(count)))
        lists = max(1, min(lists, count // LEARN_PER_LIST))
        index = faiss.index_factory(width, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = self.config.seed
        return index

    def prepare_search(self, index: Any, k: int) -> None:
        """How many lists are compared."""
        probes = self.config.probes or max(8, index.nlist // 16)
        index.nprobe = min(probes, index.nlist)
