"""Kinds of indexes: one per file, looked up by the class of its configuration."""

from graphstorm_like.search.kinds.base import INDEXES, VectorIndex

__all__ = ["INDEXES", "VectorIndex"]
