"""Indexes of vectors. graphstorm_like/config/search.py says when to use which."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.config.search import ExactSearchConfig, HnswSearchConfig, IvfSearchConfig
from graphstorm_like.errors import DataError, MissingExtraError
from graphstorm_like.registry import Registry

INDEXES: Registry[type[VectorIndex]] = Registry("search")

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class VectorIndex(ABC):
    """An index over vectors [n, D], which it may keep a reference to."""

    def __init__(self, config: Any, vectors: Floats) -> None:
        self.config, self.vectors = config, vectors

    @abstractmethod
    def build(self) -> None:
        """Make what a search needs beside the vectors."""

    @abstractmethod
    def search(self, queries: Floats, k: int) -> tuple[Floats, Rows]:
        """The `k` best rows of queries [q, D]: (inner products [q, k], rows [q, k]), best first.

        Where fewer are found: -inf and -1 at the end.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `build` made into a folder that holds the vectors already."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises DataError when it cannot be read."""


BLOCK_SCORES, BLOCK_VECTORS = 20_000_000, 100_000
"""Scores in memory at once (80 MB), and vectors that are compared together."""


@INDEXES.register(ExactSearchConfig)
class ExactIndex(VectorIndex):
    """Every vector is compared with every query, by matrix products of bounded size.

    Among equal scores the smaller row comes first.
    """

    def build(self) -> None:
        """Nothing is needed beside the vectors."""

    def search(self, queries: Floats, k: int) -> tuple[Floats, Rows]:
        """See VectorIndex."""
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        step = max(1, BLOCK_SCORES // max(1, min(BLOCK_VECTORS, len(self.vectors))))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            scores[part], rows[part] = self._best(queries[part], k)
        return scores, rows

    def _best(self, queries: Floats, k: int) -> tuple[Floats, Rows]:
        """The best of all blocks of vectors, for queries that are few enough."""
        best_scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        best_rows = np.full((len(queries), k), -1, dtype=np.int64)
        for start in range(0, len(self.vectors), BLOCK_VECTORS):
            block = np.array(self.vectors[start : start + BLOCK_VECTORS], dtype=np.float32)  # of a read-only map
            products = torch.from_numpy(queries) @ torch.from_numpy(block).T
            best = products.topk(min(k, len(block)), dim=1)  # numpy's partition takes ten times as long
            scores = np.concatenate([best_scores, best.values.numpy()], axis=1)
            rows = np.concatenate([best_rows, best.indices.numpy() + start], axis=1)
            best_scores, best_rows = _first(scores, rows, k)
        return best_scores, best_rows

    def save(self, folder: Path) -> None:
        """Nothing is needed beside the vectors."""

    def load(self, folder: Path) -> None:
        """Nothing is needed beside the vectors."""


def _first(scores: Floats, rows: Rows, k: int) -> tuple[Floats, Rows]:
    """The k best of each line, best first; of equal ones the smaller row, and -1 last."""
    order = np.lexsort((np.where(rows < 0, np.iinfo(np.int64).max, rows), -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


# What the kinds of indexes that faiss computes have in common: the only module that imports faiss.


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


@INDEXES.register(HnswSearchConfig)
class HnswIndex(FaissIndex):
    """A graph of near vectors, walked from far to near (hierarchical navigable small world)."""

    config: HnswSearchConfig

    def make(self, faiss: Any, count: int, width: int) -> Any:
        """Links by inner product."""
        index = faiss.IndexHNSWFlat(width, self.config.neighbours, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.config.build_effort
        return index

    def prepare_search(self, index: Any, k: int) -> None:
        """How many candidates are kept while walking."""
        index.hnsw.efSearch = max(self.config.search_effort, k)


LEARN_PER_LIST = 39
"""Vectors that faiss wants for each centre."""


@INDEXES.register(IvfSearchConfig)
class IvfIndex(FaissIndex):
    """Vectors in lists by their nearest centre (inverted file); the lists nearest to a query are compared."""

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
