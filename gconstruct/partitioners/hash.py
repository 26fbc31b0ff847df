"""`method: hash`: a node's partition is the hash of its id, modulo the number of partitions.

It does not depend on the other nodes, so that it stays when nodes are added: see `hashing`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.hashing import hash_strings
from gconstruct.partitioners.base import PARTITIONERS
from gconstruct.partitioners.columns import ColumnPartitioner
from graphstorm_like.config.partitioners import HashPartitions
from graphstorm_like.graph.schema import ID_COLUMN

_ROWS = 1 << 20
"""Hashed at a time"""


@PARTITIONERS.register(HashPartitions)
class HashPartitioner(ColumnPartitioner[HashPartitions]):
    """Memory: 4 bytes per node, and the hashes of a million nodes."""

    default, needs_all_rows = ID_COLUMN, False

    def parts(self, values: pa.ChunkedArray) -> np.ndarray:
        """See ColumnPartitioner."""
        parts = np.empty(len(values), np.int32)
        for at in range(0, len(values), _ROWS):
            piece = values.slice(at, _ROWS)
            if pa.types.is_floating(piece.type):
                piece = pc.cast(piece, pa.float64())
            hashes = hash_strings(piece, self.config.seed)
            parts[at : at + _ROWS] = (hashes % np.uint64(self.config.count)).astype(np.int32)
        return parts
