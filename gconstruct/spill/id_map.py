"""The ids of one node type and their positions: in memory while they fit, then on disk.

    add(ids) ...; seal()                    the ids of the node table, in the order of its rows
    find(ids), insert(ids)                  numbers, while the ids are `in_memory`
    start_round(create), add ..., numbers   the same for batches that come one after another, in memory or not
    close(); positions(numbers)             after all edges: ids that edges added are sorted, and follow the table's

Until `close`, an id that an edge added has the next number; its position depends on nothing but the set of these ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.spill.batches import BatchSpool
from gconstruct.spill.budget import Share
from gconstruct.spill.disk_ids import DiskIds, DiskRound, is_first, read_sorted
from gconstruct.spill.id_index import IdIndex
from gconstruct.values import all_integers

_GATHERED = 8
"""The share divided by what a file's rows take before they are written: of two ends, and of the table."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Ids of a table that an earlier row has already."""

    rows: np.ndarray
    """int64 (k), sorted: rows among those that were added"""
    firsts: np.ndarray
    """int64 (k): the row that first has the same id"""


class IdMap:
    """See above. folder: for files, need not exist. share: what the ids of all node types may take of the memory."""

    def __init__(self, folder: Path, id_type: pa.DataType, share: Share) -> None:
        self._folder, self._type, self._share = folder, id_type, share
        self._index: IdIndex | None = IdIndex()
        self._disk: DiskIds | None = None
        self._added = 0
        self._rows_in_memory = self._kept_in_memory = 0
        self._repeated: list[tuple[np.ndarray, np.ndarray]] = []
        self._ranks: np.ndarray | None = None
        self.no_ids = pa.array([], id_type)
        self._sorted: Path | pa.Array = self.no_ids
        self._rounds = 0
        self._sealed = False
        self.table_count = self.created_count = 0
        """Nodes of the table; of edges"""

    @property
    def in_memory(self) -> bool:
        """Whether `find` and `insert` may be called."""
        return self._index is not None

    @property
    def count(self) -> int:
        """Nodes so far."""
        return self.table_count + self.created_count

    def add(self, ids: pa.Array) -> None:
        """The next ids of the table (n, no nulls)."""
        if self._index is None:
            assert self._disk is not None
            in_disk = self._added - self._rows_in_memory
            self._disk.add_known(ids, self._kept_in_memory + in_disk + np.arange(len(ids)))
        else:
            before = self._index.count
            numbers = self._index.insert(ids)
            repeated = np.flatnonzero(~is_first(numbers, before))
            if repeated.size:
                self._repeated.append((repeated + self._added, numbers[repeated]))
            self._fit_or_spill(self._added + len(ids))
        self._added += len(ids)

    def seal(self) -> Repeated:
        """The table is complete. Repeated ids count once."""
        rows, numbers = (np.concatenate([*part, _NONE]) for part in zip(*self._repeated, (_NONE, _NONE), strict=True))
        if self._disk is not None:
            gone, firsts = self._disk.drop_repeated()
            rows = np.concatenate([rows, gone + (self._rows_in_memory - self._kept_in_memory)])
            numbers = np.concatenate([numbers, firsts])
        # A number counts ids that came before; the row, also those that were repeated in memory.
        in_memory = rows[rows < self._rows_in_memory] if self._disk is not None else rows
        firsts = numbers + np.searchsorted(in_memory - np.arange(len(in_memory)), numbers, side="right")
        self.table_count, self._sealed = self._added - len(rows), True
        self._repeated = []
        if self._index is not None:
            self._index.compact()
        return Repeated(rows, firsts)

    def find(self, ids: pa.Array) -> np.ndarray:
        """int64 (m): the number of each id, -1 where it is unknown. Several threads may call it."""
        assert self._index is not None
        return self._index.find(ids)

    def insert(self, ids: pa.Array) -> np.ndarray:
        """int64 (m): the number of each id; unknown ones are created. The ids may be on disk afterwards."""
        assert self._index is not None
        numbers = self._index.insert(ids)
        self.created_count = self._index.count - self.table_count
        self._fit_or_spill(self._added)
        return numbers

    def start_round(self, create: bool, memory: int) -> Round:
        """Look up a sequence of batches. create: unknown ids become nodes; memory: bytes of numbers to hold."""
        self._rounds += 1
        return Round(self, create, BatchSpool(self._folder / f"numbers-{self._rounds}", memory))

    def close(self, memory: int) -> None:
        """Sort the created ids: integers by value, strings by their UTF-8 bytes."""
        if not self.created_count:
            return
        if self._disk is not None:
            self._ranks, self._sorted = self._disk.sort_created(self.table_count, self.created_count, memory)
            return
        assert self._index is not None
        created = self._index.ids_from(self.table_count)
        by_value = pa.types.is_large_string(created.type) and all_integers(created)
        order = pc.sort_indices(created.cast(pa.int64()) if by_value else created)
        self._sorted = created.take(order)
        self._ranks = np.empty(len(created), np.int64)
        self._ranks[order.to_numpy()] = np.arange(len(created))

    def positions(self, numbers: np.ndarray) -> np.ndarray:
        """int64 (m): final positions; after `close`."""
        if self._ranks is None:
            return numbers
        created = np.flatnonzero(numbers >= self.table_count)
        if not created.size:
            return numbers
        positions = numbers.copy()
        positions[created] = self.table_count + self._ranks[numbers[created] - self.table_count]
        return positions

    def created(self) -> Iterator[pa.Array]:
        """The ids that edges added, in the order of their positions; after `close`."""
        if isinstance(self._sorted, Path):
            yield from read_sorted(self._sorted)
        elif len(self._sorted):
            yield self._sorted

    def start_disk_round(self) -> DiskRound:
        """For `Round`."""
        assert self._disk is not None
        return self._disk.start_round()

    def _fit_or_spill(self, rows: int) -> None:
        """Move the ids to disk when they take too much memory. rows: of the table, until now"""
        assert self._index is not None
        if self._share.take(self, self._index.nbytes):
            return
        self._disk = DiskIds(self._folder / "ids", self._type, self._share.limit // _GATHERED)
        of_table = self.table_count if self._sealed else self._index.count
        number = 0
        for piece in self._index.ids():
            known = piece.slice(0, max(of_table - number, 0))
            if len(known):
                self._disk.add_known(known, np.arange(number, number + len(known)))
            number += len(piece)
        if number > of_table:
            self._disk.add_created(self._index.ids_from(of_table), np.arange(of_table, number))
        self._rows_in_memory, self._kept_in_memory = rows, of_table
        self._index = None
        self._share.free(self)


_NONE = np.empty(0, np.int64)


class Round:
    """Batches of ids of one node type, and their numbers in the same batches."""

    def __init__(self, ids: IdMap, create: bool, spool: BatchSpool) -> None:
        self._ids, self._create, self._found = ids, create, spool
        self._on_disk: DiskRound | None = None
        self._resolved = False

    def add(self, ids: pa.Array) -> None:
        """The next batch (m, no nulls)."""
        if self._ids.in_memory:
            numbers = self._ids.insert(ids) if self._create else self._ids.find(ids)
            self._found.append(pa.record_batch([pa.array(numbers)], names=["number"]))
            return
        if self._on_disk is None:
            self._on_disk = self._ids.start_disk_round()
        self._on_disk.add(ids)

    def numbers(self) -> Iterator[np.ndarray]:
        """int64 (m) of each batch, -1 where an id is unknown; after all batches, as often as wanted."""
        if self._on_disk is not None and not self._resolved:
            created = self._on_disk.resolve(self._ids.count if self._create else None)
            self._ids.created_count += created
            self._resolved = True
        for batch in self._found:
            yield batch.column("number").to_numpy()
        if self._on_disk is not None:
            yield from self._on_disk.numbers()

    def delete(self) -> None:
        """Free memory and disk."""
        self._found.delete()
        if self._on_disk is not None:
            self._on_disk.delete()
