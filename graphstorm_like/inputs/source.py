"""Sources of a model's inputs: FeatureSources with the facts that the model needs about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.partition_reader import SHARED, Column
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.shared import find
from graphstorm_like.graph.store import IntArray, RowType, type_name
from graphstorm_like.pending import Pending
from graphstorm_like.sampling.steps import FeatureSource

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache


class Sized(FeatureSource, Protocol):
    """A FeatureSource that knows its width."""

    @property
    def width(self) -> int:
        """F"""
        ...


class TextSource(ABC):
    """A FeatureSource of text vectors, with the facts that a model needs about them."""

    weights: str
    """Fingerprint of the text encoder that computed them."""
    width: int
    """D"""
    count: int
    """Rows."""

    @abstractmethod
    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows."""
        return self.begin_rows(ids).wait()

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(mean, standard deviation) [D], over up to 8192 evenly spaced rows."""
        if not self.count:  # of a graph that is only scored: what the model learnt comes with its weights
            return np.zeros(self.width), np.ones(self.width)
        chosen = np.unique(np.linspace(0, max(self.count - 1, 0), min(self.count, 8192)).astype(np.int64))
        vectors = self.rows(chosen).astype(np.float64)
        return vectors.mean(axis=0), vectors.std(axis=0)


class CachedText(TextSource):
    """Text vectors from the embedding cache. order: row of the embedded column for each id; None: the id itself."""

    def __init__(self, cache: EmbeddingCache, order: IntArray | None = None) -> None:
        self.cache, self.order = cache, order
        self.weights, self.width = str(cache.meta["weights"]), cache.dim
        self.count = cache.store.num_rows if order is None else len(order)

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return Pending(lambda: self.cache.gather(ids if self.order is None else self.order[ids]))


class SharedText(TextSource):
    """Text vectors from a shared table: each host has embedded the texts of its own partition."""

    def __init__(self, graph: PartitionedGraph, row_type: RowType, table: str, width: int, weights: str) -> None:
        self._graph, self._row_type, self._table = graph, row_type, table
        self.weights, self.width, self.count = weights, width, int(graph.starts(row_type)[-1])

    @property
    def column(self) -> Column:
        """See FixedRows."""
        return (self._row_type, SHARED + self._table)

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return self._graph.begin_shared(self._row_type, self._table, ids)

    def of_host(self, shm: Path) -> npt.NDArray[np.float16]:
        """[U, D] vectors of the distinct texts of this host's partition, when no text has several pieces. shm: the
        host's shared-memory folder."""
        return find(shm, f"{type_name(self._row_type)}:{self._table}").open().values


TextVectors = dict[RowType, dict[str, TextSource]]
"""By node or edge type and name of the text."""
