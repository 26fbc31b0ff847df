"""The base class of indexes: the rows of a matrix that have the largest inner products with queries.

Cosine similarity is the inner product of unit vectors: whoever wants it normalises both sides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.registry import Registry

INDEXES: Registry[type[VectorIndex]] = Registry("search", "graphstorm_like.search.kinds")

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
