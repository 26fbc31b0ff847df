"""Exported vectors for other stores: a store a file."""

from graphstorm_like.search.exports.lance import write_lance
from graphstorm_like.search.exports.pgvector import write_pgvector

__all__ = ["STORES", "write_lance", "write_pgvector"]

STORES = {"lance": write_lance, "pgvector": write_pgvector}
