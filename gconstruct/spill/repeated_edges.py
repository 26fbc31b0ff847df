"""Which edges have the same two ends as an earlier one? Edges with equal hashes are in one file, read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.hashing import mix
from gconstruct.spill.batches import NUM_BUCKETS, Buckets, Dealt

_SHIFT = np.uint64(64 - NUM_BUCKETS.bit_length() + 1)


class RepeatedEdges:
    """Edges as pairs of numbers, which come batch by batch. folder: must not exist yet. memory: bytes that
    are gathered before they are written."""

    def __init__(self, folder: Path, memory: int) -> None:
        self._buckets = Buckets(folder, memory=memory)
        self._dealt = Dealt(folder)

    def add(self, source: np.ndarray, target: np.ndarray) -> None:
        """The next edges. int64 (m)"""
        bucket = (mix(mix(source.view(np.uint64)) ^ target.view(np.uint64)) >> _SHIFT).astype(np.uint8)
        self._buckets.add(bucket, pa.record_batch({"source": source, "target": target}))
        self._dealt.add(bucket)

    def masks(self) -> Iterator[np.ndarray]:
        """bool (m) for each batch: true from the second such edge on."""
        for bucket in np.flatnonzero(self._buckets.rows).tolist():
            edges = self._buckets.table(bucket)
            source, target = (edges.column(name).to_numpy() for name in ("source", "target"))
            order = np.lexsort((source, target))
            same = (np.diff(source[order]) == 0) & (np.diff(target[order]) == 0)
            again = np.zeros(len(order), np.int64)
            again[order[1:][same]] = 1
            self._dealt.put(bucket, [again])
        for numbers in self._dealt.numbers():
            yield numbers != 0

    def delete(self) -> None:
        """Free the disk."""
        self._buckets.delete()
