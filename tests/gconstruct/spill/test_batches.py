"""Spools of batches, and rows dealt out to buckets and put back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.spill.batches import BatchSpool, Buckets, Dealt


def batch(*values: int) -> pa.RecordBatch:
    return pa.record_batch({"a": pa.array(values, pa.int64()), "b": pa.array(map(str, values), pa.string())})


@pytest.mark.parametrize("memory", [0, 40, 1 << 20])
def test_a_spool_gives_its_batches_back_as_often_as_wanted(memory: int, tmp_path: Path) -> None:
    spool = BatchSpool(tmp_path / "new" / "spool", memory)
    batches = [batch(1, 2, 3), batch(), batch(4)]
    for one in batches:
        spool.append(one)
    assert spool.rows == 4
    assert spool.on_disk == (memory < 1000)
    assert list(spool) == batches
    assert list(spool) == batches
    spool.delete()
    assert not (tmp_path / "new" / "spool").exists()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), max_size=20), max_size=6), st.sampled_from([0, 100, 1 << 20]))
def test_numbers_of_dealt_rows_come_back_in_their_order(dealt: list[list[int]], memory: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        buckets = Buckets(Path(name) / "buckets", 5, memory=memory)
        order = Dealt(buckets.folder, 5)
        row, expected = 0, []
        for choice in dealt:
            rows = list(range(row, row + len(choice)))
            buckets.add(np.array(choice, np.uint8), batch(*rows))
            order.add(np.array(choice, np.uint8))
            expected.append([10 * r for r in rows])
            row += len(choice)
        for bucket in range(5):
            pieces = list(buckets.read(bucket))
            rows = [r for piece in pieces for r in piece.column("a").to_pylist()]
            assert rows == sorted(rows)
            assert len(rows) == buckets.rows[bucket]
            order.put(bucket, [10 * piece.column("a").to_numpy() for piece in pieces])
        assert [numbers.tolist() for numbers in order.numbers()] == expected
        buckets.delete()
        assert not buckets.folder.exists()
