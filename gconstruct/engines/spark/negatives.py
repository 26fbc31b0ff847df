"""Hard negatives of edges: pieces ask the buckets of the target's type for their different ids.

    pieces --different ids--> buckets of the index --ids and positions--> pieces

Ids that no node has are not answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.encoding.hard_negatives import joined_ids
from gconstruct.engines.spark.blobs import (
    IDS,
    INDEX,
    NEGATIVES,
    POSITIONS,
    REQUEST,
    TARGET,
    joined,
    pack,
    split,
    unpack,
)
from gconstruct.engines.spark.cluster import LAST, Pair
from gconstruct.engines.spark.ends import EndStages, in_index, numbered
from gconstruct.hard_negatives import IdNumbers, split_ids
from gconstruct.problems import Problems
from gconstruct.values import integers_among


@dataclass(frozen=True, slots=True)
class NegativeStages:
    """The stages of one edge table's hard negatives."""

    ends: EndStages
    id_type: pa.DataType
    """Of the target's ids in the index"""

    def ask(self, piece: int, _: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket, REQUEST, piece) -> different ids, as the index has them."""
        chosen = self.ends.config.hard_negatives
        assert chosen is not None
        table = self.ends.table.read(piece, Problems(), [chosen.column])
        assert table is not None, "it was read before"
        items = split_ids(joined_ids(table, chosen), chosen.separator)[1]
        ids = items.unique()
        if pa.types.is_integer(self.id_type):
            ids = integers_among(ids)
        for bucket, part in split(pa.record_batch([ids], names=[IDS]), self.ends.buckets[TARGET].of(ids)):
            yield (bucket, REQUEST, piece), pack(part)

    def answer(self, starts: Sequence[int], bucket: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece, NEGATIVES, bucket) -> ids, as text, and positions. starts: of the target's type, nodes before each
        piece"""
        index: list[pa.RecordBatch] = []
        for (to, kind, *rest), blob in incoming:
            if to == LAST:  # a report of other jobs, which has been heard
                continue
            if kind == INDEX:
                index.append(numbered(unpack(blob), starts, rest[0]))
                continue
            ids = unpack(blob).column(IDS)  # the index comes first
            found = in_index(ids, index).positions
            there = pa.array(np.flatnonzero(found >= 0))
            texts = pc.cast(ids.take(there), pa.large_string())
            answer = pa.record_batch([texts, pa.array(found).take(there)], names=[IDS, POSITIONS])
            yield (rest[0], NEGATIVES, bucket), pack(answer)


def answered(sent: Iterable[Pair], nodes: int) -> IdNumbers:
    """What the buckets answered to a piece. nodes: of the target's type"""
    batches = [unpack(blob) for key, blob in sent if key[1] == NEGATIVES]
    if not batches:
        return IdNumbers(pa.array([], pa.large_string()), np.empty(0, np.int64), nodes)
    whole = joined(batches)
    return IdNumbers(whole.column(IDS), whole.column(POSITIONS).to_numpy(), nodes)
