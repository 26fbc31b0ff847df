"""`encode: embedding`"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class EmbeddingFeature(FeatureConfig):
    """Vectors from files of their own, one per id: Parquet with a column of ids and one of vectors, or NumPy.

    A row of the table gets the vector of its id. Vectors are mapped into memory or read in pieces, never as a whole.
    """

    source_keys: ClassVar[tuple[str, ...]] = ("vectors", "ids", "id_column", "vector_column", "key")

    encode: Literal["embedding"]
    vectors: str
    """A Parquet file, or a .npy file (n, width) of numbers. Relative paths start at `graph.base`, or at the YAML's
    folder."""
    ids: str | None = None
    """Of a .npy file: a file with the ids of its vectors, one a line, or a .npy file of integers or strings. Default:
    vector i is that of row i of the table, which must then be one file."""
    id_column: str = "id"
    """Of a Parquet file: its column of ids."""
    vector_column: str = "vector"
    """Of a Parquet file: its column of vectors, lists of numbers of one length."""
    key: str | None = None
    """The table's column with the ids that the vectors are of. Default: the id of the node."""
    dims: PositiveInt | None = None
    """Take only the first so many numbers, e.g. of embeddings whose first numbers mean most."""
    normalize: Literal["none", "unit"] = "none"
    """unit: divide each vector by its length."""
    missing: Literal["error", "zero"] = "error"
    """What a row without a vector gets: an error, or the zero vector."""

    @model_validator(mode="after")
    def _format(self) -> EmbeddingFeature:
        for key in ("vectors", "ids"):
            if "://" in (getattr(self, key) or ""):
                raise KeyedError(key, "must be a local file, for it is read here and there. Copy it to a local disk")
        if self.ids is not None and not self.vectors.endswith(".npy"):
            raise KeyedError("ids", "must be left out of a Parquet file, which has a column of them")
        return self

    def column_names(self) -> list[str]:
        """The column of ids."""
        assert self.key is not None, "in_table names it"
        return [self.key]

    def input_files(self) -> list[str]:
        """The vectors, and their ids."""
        return [self.vectors] if self.ids is None else [self.vectors, self.ids]

    def in_table(self, id_column: str | None) -> Self:
        """With `key`."""
        if self.key is not None:
            return self
        if id_column is None:
            raise ValueError("must have 'key', the column with the ids of the vectors, for a table of edges")
        return self.model_copy(update={"key": id_column})
