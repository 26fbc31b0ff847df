"""What the kinds of indexes that faiss computes have in common: the only module that imports faiss."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.errors import DataError, MissingExtraError
from graphstorm_like.search.kinds.base import Floats, Rows, VectorIndex

FILE = "index.faiss"


class FaissIndex(VectorIndex):
    """Kinds define how the empty index is made, and what is set before a search."""

    _index: Any = None

    @abstractmethod
    def make(self, faiss: Any, count: int, width: int) -> Any:
        """An empty index for `count` vectors of `width` numbers."""

    def prepare_search(self, index: Any, k: int) -> None:
        """Set what a search for `k` rows needs."""

    def build(self) -> None:
        """Train the index where its kind needs that, and add all vectors."""
        faiss = faiss_module(f"search type {self.config.type}")
        index = self.make(faiss, *self.vectors.shape)
        rows = np.ascontiguousarray(self.vectors, dtype=np.float32)
        if not index.is_trained:
            index.train(rows)
        index.add(rows)
        self._index = index

    def search(self, queries: Floats, k: int) -> tuple[Floats, Rows]:
        """See VectorIndex."""
        if not len(queries):
            return np.empty((0, k), dtype=np.float32), np.empty((0, k), dtype=np.int64)
        self.prepare_search(self._index, k)
        scores, rows = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        scores[rows < 0] = -np.inf
        return scores, rows

    def save(self, folder: Path) -> None:
        """See VectorIndex."""
        faiss_module("saving an index").write_index(self._index, str(folder / FILE))

    def load(self, folder: Path) -> None:
        """See VectorIndex."""
        faiss, path = faiss_module("reading the index"), folder / FILE
        try:
            self._index = faiss.read_index(str(path))
        except RuntimeError as err:
            raise DataError(f"{path}: must be an index of faiss (got: {err}). Make it again: gsl index") from None
        if self._index.ntotal != len(self.vectors):
            raise DataError(
                f"{path}: must hold {len(self.vectors):,} vectors (got {self._index.ntotal:,}). "
                f"Make it again: gsl index"
            )


def faiss_module(what: str) -> Any:
    """faiss, with no more threads than this process may use cores. what: needs it."""
    try:
        import faiss
    except ImportError:
        raise MissingExtraError(what, "faiss-cpu", "search") from None
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None and hasattr(os, "sched_getaffinity"):
        faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    return faiss
