"""Rows of numbers of which few are not zero, by what they hold (CSR): wide features of categories and words.

In a graph folder such a feature is a list of (index, value) for each row, whose Arrow buffers are the offsets, indices
and values of CSR. `FeatureSchema.sparse` says so; features that graph folders of earlier versions hold are dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from typing_extensions import TypeVar

from graphstorm_like.graph.bfloat16 import from_bits, to_bits

SPARSE_WIDTH = 512
"""Numbers a row from which on a feature that is made of entries is stored by them. An entry takes 8 bytes, a number of
a dense row 4: at 512, rows of fewer than 256 entries are smaller, and their first product takes less time."""
Array = TypeVar("Array", default=npt.NDArray[Any])
"""numpy arrays in a store, tensors in a batch."""
_VALUES: dict[str, pa.DataType] = {"float32": pa.float32(), "float16": pa.float16(), "bfloat16": pa.uint16()}


def sparse_type(dtype: str) -> pa.DataType:
    """The Arrow type of a sparse feature whose values have a dtype."""
    return pa.large_list(pa.struct([("index", pa.int32()), ("value", _VALUES[dtype])]))


def is_sparse(data_type: pa.DataType) -> bool:
    """Whether it is one of these types."""
    return bool(pa.types.is_large_list(data_type) and pa.types.is_struct(data_type.value_type))


@dataclass(frozen=True, slots=True)
class SparseRows(Generic[Array]):
    """N rows of `width` numbers. The entries of row i are offsets[i]:offsets[i + 1], by ascending index.

    offsets [N + 1], from 0; indices [E]; values [E]. numpy.asarray gives the dense rows.
    """

    offsets: Array
    indices: Array
    values: Array
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1  # type: ignore[arg-type]

    @property
    def shape(self) -> tuple[int, int]:
        """(N, width)"""
        return len(self), self.width

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        indices, values = np.asarray(self.indices), np.asarray(self.values)
        rows = np.zeros(self.shape, dtype=values.dtype if dtype is None else dtype)
        rows[np.repeat(np.arange(len(self)), np.diff(np.asarray(self.offsets))), indices] = values
        return rows


def rows_of(column: pa.Array, width: int) -> SparseRows:
    """The rows of a column of a sparse feature, float32 or float16 as they are stored, bfloat16 as float32. Entries
    are views of the column where their types allow it."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    entries = column.values.slice(offsets[0], offsets[-1] - offsets[0])
    indices, values = (part.to_numpy() for part in entries.flatten())
    if values.dtype == np.uint16:
        values = from_bits(values)
    return SparseRows(offsets - offsets[0], indices, values, width)


def column_of(rows: SparseRows, dtype: str) -> pa.Array:
    """The column that holds rows of float32 numbers."""
    values = to_bits(rows.values) if dtype == "bfloat16" else rows.values.astype(dtype)
    parts = [pa.array(rows.indices.astype(np.int32)), pa.array(values)]
    entries = pa.StructArray.from_arrays(parts, names=["index", "value"])
    return pa.LargeListArray.from_arrays(pa.array(rows.offsets), entries)


def of_cells(cells: npt.NDArray[np.int64], values: npt.NDArray[Any], shape: tuple[int, int]) -> SparseRows:
    """(N, width) rows from values [E] at cells [E]: row * width + index, ascending."""
    count, width = shape
    at, indices = np.divmod(cells, width)
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(at, minlength=count), out=offsets[1:])
    return SparseRows(offsets, indices, values, width)


def distinct_cells(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each once, ascending; no copy where they are so already."""
    return cells if (np.diff(cells) > 0).all() else np.unique(cells)
