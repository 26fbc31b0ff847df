"""Nodes that only edges name: made unique in their buckets, sorted over all of them, and numbered after the table's.

    buckets: different ids, a sample of them   -> driver: bounds of ranges
    buckets --ids--> ranges: sorted            -> driver: how many there are in each
    ranges --ids and positions--> buckets: the index

Integers are sorted by value, also those of CSV files that are text until now; strings by their UTF-8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.engines.spark.blobs import CREATED, IDS, pack, slices, split, unpack
from gconstruct.engines.spark.cluster import LAST, Pair
from gconstruct.engines.spark.ids import Buckets
from gconstruct.engines.spark.report import Report
from gconstruct.values import all_integers

_SAMPLE = 200
"""Ids of a bucket from which the bounds of ranges are taken"""
_RANGE_ROWS = 2_000_000
"""About the number of ids that one task sorts"""


@dataclass(frozen=True, slots=True)
class CreatedStages:
    """The stages of one node type's created nodes."""

    buckets: Buckets

    def unique(self, bucket: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket,) -> different ids."""
        arrays = [unpack(blob).column(IDS) for key, blob in incoming if self._is_mine(key[0])]
        if arrays:
            yield (bucket, 0), pack(pa.record_batch([pa.concat_arrays(arrays).unique()], names=[IDS]))

    def sample(self, bucket: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """Reports of the number of ids, whether they are integers, and some of them."""
        for _, blob in incoming:
            ids, report = unpack(blob).column(IDS), Report()
            report.counts["ids"] = len(ids)
            report.counts["not integers"] = int(not _integer_strings(ids))
            step = max(1, len(ids) // _SAMPLE)
            report.notes = [ids.take(pa.array(range(0, len(ids), step)))]
            yield (LAST, bucket), report

    def _is_mine(self, bucket: int) -> bool:
        return self.buckets.first <= bucket < self.buckets.first + self.buckets.count


def ranges_of(report: Report) -> tuple[pa.Array, bool]:
    """Bounds between ranges of about _RANGE_ROWS ids, sorted; whether the ids are integers that are written as text."""
    as_integers = not report.counts["not integers"]
    samples = sort_key(pa.concat_arrays(report.notes), as_integers).sort()
    count = -(-report.counts["ids"] // _RANGE_ROWS)
    places = np.arange(1, count) * len(samples) // count
    return samples.take(pa.array(places, pa.int64())).unique(), as_integers


def sort_key(ids: pa.Array, as_integers: bool) -> pa.Array:
    """What ids are sorted by."""
    return pc.cast(ids, pa.int64()) if as_integers else ids


@dataclass(frozen=True, slots=True)
class RangeStages:
    """The stages after the bounds are known."""

    bounds: pa.Array
    as_integers: bool
    first: int
    """Pieces of the node table, after which the ranges come"""

    @property
    def ranges(self) -> int:
        """Their number"""
        return len(self.bounds) + 1

    def send(self, bucket: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(range, bucket) -> the ids that belong there."""
        for _, blob in incoming:
            batch = unpack(blob)
            for number, part in split(batch, self._ranges_of(batch.column(IDS))):
                yield (number, bucket), pack(part)

    def sort(self, number: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(pieces + range, CREATED, slice) -> its ids in their order"""
        if number == self.ranges:  # the receiver of reports
            return
        arrays, report = [unpack(blob).column(IDS) for _, blob in incoming], Report()
        report.by_piece[number] = sum(map(len, arrays))
        if arrays:
            ids = pa.concat_arrays(arrays)
            ids = ids.take(pc.sort_indices(sort_key(ids, self.as_integers)))
            for part, batch in enumerate(slices(pa.record_batch([ids], names=[IDS]))):
                yield (self.first + number, CREATED, part), pack(batch)
        yield (LAST, number), report

    def _ranges_of(self, ids: pa.Array) -> np.ndarray:
        """int64 (n): the number of bounds at or below each id."""
        numbers = np.zeros(len(ids), np.int64)
        keys = sort_key(ids, self.as_integers)
        for bound in self.bounds:
            numbers += pc.greater_equal(keys, bound).to_numpy(zero_copy_only=False)
        return numbers


def _integer_strings(ids: pa.Array) -> bool:
    return pa.types.is_large_string(ids.type) and all_integers(ids)
