"""Original ids -> positions 0..count-1 of their node type.

Nodes of a table are in the order of its rows. Nodes that only edges name follow, sorted (integers by value, strings by
their UTF-8 bytes), so that the order of edges, files and chunks does not matter. They can be numbered only after all
edge tables have been read: until then an end of an edge keeps its id (`Ends`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.report.trace import KEPT_EXAMPLES, Dropped, Example
from gconstruct.tables.table import Table
from gconstruct.values import all_integers


def null_mask(column: pa.Array) -> np.ndarray:
    """bool (n): where the column is null"""
    mask: np.ndarray = pc.is_null(column).to_numpy(zero_copy_only=False)
    return mask


def check_ids(
    table: Table, column: str, known: pa.Array | None, skip: bool, problems: Problems
) -> tuple[Table, dict[str, Dropped]]:
    """The table with a non-null, unique id in every row, and the rows left out by reason. known: ids that it must not
    have."""
    dropped: dict[str, Dropped] = {}
    ids = table.column(column)
    null = np.flatnonzero(null_mask(ids)) if ids.null_count else np.empty(0, np.int64)
    if null.size and not skip:
        problems.add(rules.null_ids(table, table.key, column, null))
    repeated, first_row = _repeated(ids)
    if repeated.size and not skip:
        values = ids.take(pa.array(repeated[:EXAMPLES])).to_pylist()
        problems.add(rules.repeated_ids(table, table.key, column, repeated, values, first_row))
    old = np.empty(0, np.int64)
    if known is not None:
        old = np.setdiff1d(np.flatnonzero(pc.is_in(ids, value_set=known).to_numpy(zero_copy_only=False)), repeated)
    if old.size and not skip:
        values = ids.take(pa.array(old[:EXAMPLES])).to_pylist()
        problems.add(rules.known_ids(table, table.key, column, old, values))
    if skip and (null.size or repeated.size or old.size):
        dropped = {
            "null id": dropped_rows(table, null, (column,)),
            "repeated id": dropped_rows(table, repeated, (column,)),
            "id of the graph already": dropped_rows(table, old, (column,)),
        }
        keep = np.ones(len(table), bool)
        keep[null] = keep[repeated] = keep[old] = False
        table = table.keep(keep)
    return table, dropped


def dropped_rows(table: Table, rows: np.ndarray, columns: Sequence[str]) -> Dropped:
    """Rows (from 0) that are left out, for the report; `columns` hold the values that show why."""
    first = rows[:KEPT_EXAMPLES]
    by_column = [table.column(column).take(pa.array(first)).to_pylist() for column in columns]
    examples = [Example.of(table, row, *values) for row, *values in zip(first.tolist(), *by_column, strict=True)]
    return Dropped(len(rows), examples)


def _repeated(ids: pa.Array) -> tuple[np.ndarray, int]:
    """Rows with the id of an earlier row, and the earlier row for the first of them."""
    encoded = ids.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    if len(encoded.dictionary) + ids.null_count == len(ids):
        return np.empty(0, np.int64), 0
    # Codes are in order of first occurrence: that of a new id is one above all codes before it.
    seen_before = np.concatenate([[-1], np.maximum.accumulate(codes)[:-1]])
    repeated = np.flatnonzero((codes <= seen_before) & (codes >= 0))
    return repeated, int(np.argmax(codes == codes[repeated[0]]))


@dataclass(slots=True)
class Ends:
    """The source or target nodes of m edges."""

    positions: np.ndarray
    """int64 (m): node positions, -1 where the node table lacks the id"""
    unresolved: np.ndarray
    """int64: the rows with -1"""
    codes: np.ndarray
    """int64: the position in `uniques` of each of them"""
    uniques: pa.Array

    def keep(self, mask: np.ndarray) -> Ends:
        """The edges where the mask is true."""
        new_row = np.cumsum(mask) - 1
        stay = mask[self.unresolved]
        codes = self.codes[stay]
        used, codes = np.unique(codes, return_inverse=True)
        return Ends(self.positions[mask], new_row[self.unresolved[stay]], codes, self.uniques.take(pa.array(used)))


@dataclass(slots=True)
class NodeIds:
    """The ids of one node type: those of its table (and of a graph that it adds to), then those that edges add."""

    name: str
    from_table: pa.Array | None
    has_table: bool
    """Edges must name its nodes, unless they may add some."""
    open: bool
    """Edges may add nodes."""
    created: pa.Array | None = None
    _wanted: list[pa.Array] = field(default_factory=list)

    @property
    def table_count(self) -> int:
        """Nodes of the table."""
        return 0 if self.from_table is None else len(self.from_table)

    @property
    def count(self) -> int:
        """All nodes; of an open type only after `close`."""
        assert not self.open
        return self.table_count + (0 if self.created is None else len(self.created))

    def find(self, ids: pa.Array) -> Ends:
        """Look up ids (m, no nulls)."""
        if self.from_table is None or len(self.from_table) == 0:
            encoded = ids.dictionary_encode()
            rows = np.arange(len(ids), dtype=np.int64)
            codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            return Ends(np.full(len(ids), -1, np.int64), rows, codes, encoded.dictionary)
        table_rows = pc.index_in(ids, value_set=self.from_table)
        if table_rows.null_count == 0:
            nothing = np.empty(0, np.int64)
            return Ends(table_rows.to_numpy(zero_copy_only=False).astype(np.int64), nothing, nothing, ids.slice(0, 0))
        positions = pc.fill_null(table_rows, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        rows = np.flatnonzero(positions < 0)
        encoded = ids.take(pa.array(rows)).dictionary_encode()
        return Ends(
            positions, rows, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary
        )

    def want(self, ends: Ends) -> None:
        """Add the nodes of these ends that the table lacks."""
        assert self.open
        self._wanted.append(ends.uniques)

    def close(self) -> None:
        """After all edges: number the added nodes."""
        if self.open and self._wanted:
            uniques = pa.concat_arrays(self._wanted).unique()
            by_value = pc.cast(uniques, pa.int64()) if _integer_strings(uniques) else uniques
            self.created = uniques.take(pc.sort_indices(by_value))
        self.open, self._wanted = False, []

    def resolve(self, ends: Ends) -> np.ndarray:
        """Positions of all ends (m), created nodes included."""
        if ends.unresolved.size:
            assert self.created is not None
            position = pc.index_in(ends.uniques, value_set=self.created).to_numpy(zero_copy_only=False)
            ends.positions[ends.unresolved] = position.astype(np.int64)[ends.codes] + self.table_count
        return ends.positions

    def column(self, untyped: bool) -> tuple[pa.Array, Literal["string", "int64"]]:
        """The id column as it is written. Ids that only CSV files name become int64 when all of them are integers."""
        parts = [p for p in (self.from_table, self.created) if p is not None]
        ids = pa.concat_arrays(parts) if parts else pa.array([], pa.large_string())
        if untyped and len(ids) and all_integers(ids):
            ids = pc.cast(ids, pa.int64())
        return ids, "int64" if pa.types.is_int64(ids.type) else "string"


def _integer_strings(ids: pa.Array) -> bool:
    return pa.types.is_large_string(ids.type) and all_integers(ids)
