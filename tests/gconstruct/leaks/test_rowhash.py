"""Hashes of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gconstruct.leaks.rowhash import row_hashes


@pytest.mark.parametrize(
    "column",
    [
        pa.array(np.arange(1000, dtype=np.uint8) % 50),
        pa.array((np.arange(1000) % 50).astype(np.float32)),
        pa.array([f"text {i % 50}" for i in range(1000)], pa.large_string()),
        pa.array(["long " * 1000 * (i % 2) + f"text {i % 50}" for i in range(1000)], pa.large_string()),
        pa.FixedSizeListArray.from_arrays(pa.array((np.arange(5000) % 250).astype(np.float16)), 5),
        pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(np.arange(1000) % 50, 3).astype(np.uint8)), 3),
    ],
)
def test_equal_rows_have_equal_hashes_and_others_do_not(column: pa.Array) -> None:
    hashes = row_hashes([column], 1000)
    assert len(np.unique(hashes)) == 50
    assert (hashes[:50] == hashes[50:100]).all()
    assert (row_hashes([column.slice(50, 20)], 20) == hashes[50:70]).all()


def test_every_column_counts_in_its_place() -> None:
    first, second = pa.array([1, 1, 2, 2]), pa.array([1, 2, 1, 2])
    hashes = row_hashes([first, second], 4)
    assert len(np.unique(hashes)) == 4
    assert hashes[1] == row_hashes([second, first], 4)[2]
    assert len(np.unique(row_hashes([first], 4))) == 2
