"""How numbers are written for the wire: ids in as few bytes as they need, rows of inputs as `launch.wire` says.

float16 and int8 lose something; both take only rows that are inputs of the model and never change (features, vectors of
frozen language models), never ids, labels, or anything that learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.partition_reader import SHARED, VECTORS, Column
from graphstorm_like.graph.schema import feature_column
from graphstorm_like.graph.store import Hop, IntArray

HALF, QUARTER = "float16", "int8"
"""The other choices of `launch.wire`."""
_WIDTHS = (np.uint8, np.uint16, np.uint32)
_LARGEST_HALF = float(np.finfo(np.float16).max)
_STEPS = 127.0
"""int8: the largest number of a row is that many steps."""
_ROWS = 256
_SMALLEST = 1e-30
"""int8: rows of smaller numbers become zeros."""


def narrow(numbers: IntArray) -> npt.NDArray[Any]:
    """The same numbers in the smallest unsigned type that holds them; int64 when some are negative."""
    if not len(numbers):
        return numbers.astype(np.uint8)
    least, most = int(numbers.min()), int(numbers.max())
    for width in _WIDTHS:
        if least >= 0 and most <= np.iinfo(width).max:
            return numbers.astype(width)
    return numbers


def wide(numbers: npt.NDArray[Any]) -> IntArray:
    """What was narrowed, as int64."""
    return numbers.astype(np.int64, copy=False)


def hop_arrays(hops: Sequence[Hop]) -> list[npt.NDArray[Any]]:
    """Hops for the wire, one behind the other in five arrays: each array of a message costs some 20 us on both sides,
    and there are as many hops as edge types. Then the times of the hops that have them."""
    timed = [hop.times for hop in hops if hop.times is not None]
    facts = [(len(hop.rows), len(hop.sources), hop.times is not None) for hop in hops]
    counts = [np.diff(hop.offsets) for hop in hops]
    parts = ([hop.rows for hop in hops], counts, [hop.sources for hop in hops], [hop.edge_ids for hop in hops])
    sizes = np.array(facts, dtype=np.int64).reshape(-1)
    return [narrow(sizes), *(narrow(np.concatenate(part)) for part in parts), *timed]


def hops_of(arrays: Sequence[npt.NDArray[Any]]) -> list[Hop]:
    """The hops that `hop_arrays` has written."""
    sizes, rows, counts, sources, edge_ids = map(wide, arrays[:5])
    timed = iter(arrays[5:])
    edges_before = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=edges_before[1:])
    hops, row, edge = [], 0, 0
    for with_edges, edges, has_times in sizes.reshape(-1, 3).tolist():
        last_row, last_edge = row + with_edges, edge + edges
        offsets = edges_before[row : last_row + 1] - edge
        times = next(timed) if has_times else None
        hops.append(Hop(rows[row:last_row], offsets, sources[edge:last_edge], edge_ids[edge:last_edge], times))
        row, edge = last_row, last_edge
    return hops


def may_lose(column: Column) -> bool:
    """Whether a column's rows are inputs of the model that never change."""
    return column[1].startswith((feature_column(""), SHARED + VECTORS))


def row_arrays(rows: Any, wire: str) -> list[Any]:
    """Rows for the wire. Only floating-point rows [n, width] wider than asked for are changed.

    float16: rounded to the nearest; numbers beyond its range become the largest. int8: 127 steps up to the largest
    number of the row, and this number as float32; rows with numbers that are not finite become NaN.
    """
    size = {HALF: 2, QUARTER: 1}.get(wire, 0)
    is_matrix = isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and rows.ndim == 2
    if not size or not is_matrix or rows.dtype.itemsize <= size:
        return [rows]
    kind = np.zeros(0, dtype=rows.dtype)
    if wire == HALF:
        halves = np.empty(rows.shape, dtype=np.float16)
        for some in _pieces(len(rows)):
            halves[some] = np.clip(rows[some], -_LARGEST_HALF, _LARGEST_HALF)
        return [halves, kind]
    steps, largest = np.empty(rows.shape, dtype=np.int8), np.empty(len(rows), dtype=np.float32)
    for some in _pieces(len(rows)):
        values = rows[some].astype(np.float32)
        most = np.maximum(values.max(axis=1, initial=0.0), -values.min(axis=1, initial=0.0)) + 0.0  # not -0
        finite = np.isfinite(most)
        values[~finite] = 0.0
        values *= np.divide(_STEPS, most, out=np.zeros_like(most), where=finite & (most > _SMALLEST))[:, None]
        steps[some] = np.rint(values, out=values)
        largest[some] = np.where(finite, most, np.nan)
    return [steps, largest, kind]


def rows_of(arrays: Sequence[Any]) -> Any:
    """The rows that `row_arrays` has written, in the type in which they are stored."""
    if len(arrays) == 1:
        return arrays[0]
    values, kind = arrays[0], arrays[-1].dtype
    if len(arrays) == 2:
        return values.astype(kind)
    rows, largest = np.empty(values.shape, dtype=kind), arrays[1]
    for some in _pieces(len(rows)):
        of_steps = values[some] / np.float32(_STEPS)
        of_steps *= largest[some, None]
        rows[some] = of_steps
    return rows


def _pieces(count: int) -> Iterator[slice]:
    """Few rows at a time, which stay in the processor's cache from one operation to the next."""
    return (slice(start, start + _ROWS) for start in range(0, count, _ROWS))
