"""Ids -> the vectors that a file of vectors has for them.

Nothing is fitted: statistics are the number of rows. New rows look up their vectors in the files that the configuration
names, which must be there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gconstruct.problems import EXAMPLES
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.values import NumberedRows, Source
from gconstruct.vector_files import VectorFile, open_vectors
from graphstorm_like.config.features.embedding import EmbeddingFeature
from graphstorm_like.errors import DataError


@TRANSFORMS.register(EmbeddingFeature)
class EmbeddingTransform(Transform[EmbeddingFeature, np.ndarray, int]):
    """Values: int64 (n), rows of the file of vectors, -1 where it has none."""

    use = "id"

    def read(self, source: Source) -> np.ndarray | None:
        """Rows without a vector are reported, unless they are allowed."""
        file = self._file(source)
        rows = None if file is None else self._rows(file, source)
        if file is None or rows is None:
            return None
        missing = np.flatnonzero(rows < 0)
        if missing.size and self.config.missing == "error":
            shown = [source.values[row].as_py() for row in missing[:EXAMPLES].tolist()]
            source.refuse(missing, shown, f"an id with a vector in {file.path}", f"Set {source.key}.missing: zero")
            return None
        return rows

    def _rows(self, file: VectorFile, source: Source) -> np.ndarray | None:
        if file.ids is not None:
            return file.find(source.values)
        if not len(source):
            return np.empty(0, np.int64)
        numbers = source.rows.numbers_in_file() if isinstance(source.rows, NumberedRows) else None
        if numbers is None:
            rule = f"must be of a table of one file, for {file.path} has no ids and goes by the rows"
            source.refuse_all(rule, f"Set {source.key}.ids")
            return None
        return np.where(numbers < file.vectors.count, numbers, -1)

    def _file(self, source: Source) -> VectorFile | None:
        config, base = self.config, Path(source.base)
        ids = None if config.ids is None else base / config.ids
        try:
            return open_vectors(base / config.vectors, ids, config.id_column, config.vector_column, source.key)
        except DataError as err:
            source.problems.add(str(err), source.key)
            return None

    def fit(self, values: np.ndarray) -> int:
        """See module."""
        return len(values)

    def merge(self, first: int, second: int) -> int:
        """See module."""
        return first + second

    def state(self, statistics: int, source: Source) -> dict[str, Any] | None:
        """See module."""
        file = self._file(source)
        if file is None:
            return None
        least = self.config.dims or 1
        if file.vectors.width < least:
            what = f"{source.key}: {file.path} must hold vectors of at least {least} numbers"
            source.problems.add(f"{what} (got {file.vectors.width}). Correct the file, or dims", source.key)
            return None
        return {}

    def apply(self, values: np.ndarray, state: dict[str, Any], source: Source) -> np.ndarray | None:
        """float32 (n, width). Vectors with numbers that are not finite are reported."""
        file = self._file(source)
        if file is None:
            return None
        width = self.config.dims or file.vectors.width
        out = np.zeros((len(values), width), np.float32)
        there = np.flatnonzero(values >= 0)
        try:
            vectors = file.vectors.take(values[there])[:, :width]
        except DataError as err:
            source.problems.add(str(err), source.key)
            return None
        wrong = there[~np.isfinite(vectors).all(axis=1)]
        if wrong.size:
            shown = [source.values[row].as_py() for row in wrong[:EXAMPLES].tolist()]
            source.refuse(wrong, shown, f"an id whose vector in {file.path} is finite", "Correct the vector")
            return None
        if self.config.normalize == "unit":
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.where(lengths > 0, lengths, 1.0)
        out[there] = vectors
        return out
