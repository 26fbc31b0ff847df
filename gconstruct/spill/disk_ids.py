"""The ids of a node type on disk, in buckets by their hash; one bucket at a time is in memory.

Ids of the node table have a number each, in the order of its rows; ids that edges add get the following numbers, which
`sort_created` replaces by their ranks.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.spill.batches import NUM_BUCKETS, Buckets, Dealt, read_stream
from gconstruct.spill.id_index import IdIndex, hash_ids
from gconstruct.values import all_integers

_RANGES = 64  # ranges of ids that are sorted one after another
_SAMPLE = 512  # ids of a bucket that are compared to find the ranges


def bucket_of(ids: pa.Array) -> np.ndarray:
    """uint8 (m): by the upper bits of the hash, for the lower ones choose the slot within a bucket's table."""
    buckets: np.ndarray = (hash_ids(ids) >> np.uint64(64 - NUM_BUCKETS.bit_length() + 1)).astype(np.uint8)
    return buckets


class DiskIds:
    """Numbered ids in files of `folder`. memory: bytes that are gathered before they are written."""

    def __init__(self, folder: Path, id_type: pa.DataType, memory: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self._type, self._memory = folder, id_type, memory
        self._gone = np.empty(0, np.int64)
        self._known = Buckets(folder / "known", memory=memory)
        self._rounds = 0

    def add_known(self, ids: pa.Array, numbers: np.ndarray) -> None:
        """Ids that are all different from each other and from those before; only before the first round."""
        self._known.add(bucket_of(ids), pa.record_batch({"id": ids, "number": numbers}))

    def drop_repeated(self) -> tuple[np.ndarray, np.ndarray]:
        """Of ids that are not all different, leave the one with the lowest number. The numbers of those left out,
        sorted, and for each of them the one that stays; those that stay are numbered anew without gaps."""
        repeated, firsts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        unique = Buckets(self._folder / "unique", memory=self._memory)
        for bucket in range(NUM_BUCKETS):
            index, stay = IdIndex(), _Numbers()
            for batch in self._known.read(bucket):
                ids, numbers = batch.column("id"), batch.column("number").to_numpy()
                before = index.count
                found = index.insert(ids)
                new = is_first(found, before)
                stay.append(numbers[new])
                repeated.append(numbers[~new])
                firsts.append(stay.take(found[~new]))
                kept = batch if new.all() else batch.filter(pa.array(new))
                unique.add(np.full(len(kept), bucket, np.uint8), kept)
        self._known.delete()
        self._known = unique
        gone, first = np.concatenate(repeated), np.concatenate(firsts)
        order = np.argsort(gone)
        self._gone = gone[order]
        return self._gone, first[order]

    def start_round(self) -> DiskRound:
        """Look up a sequence of batches of ids."""
        self._rounds += 1
        return DiskRound(self, self._folder / f"round-{self._rounds}", self._memory)

    def load(self, bucket: int) -> tuple[IdIndex, _Numbers]:
        """The table of one bucket, and the numbers of its ids."""
        index, all_numbers = IdIndex(), _Numbers()
        for batch in self._known.read(bucket):
            index.insert(batch.column("id"))
            numbers = batch.column("number").to_numpy()
            all_numbers.append(numbers - np.searchsorted(self._gone, numbers) if self._gone.size else numbers)
        path = self._created(bucket)
        if path.exists():
            with pa.OSFile(str(path)) as file:
                for batch in _streams(file):
                    index.insert(batch.column("id"))
                    all_numbers.append(batch.column("number").to_numpy())
        return index, all_numbers

    def add_created(self, ids: pa.Array, numbers: np.ndarray) -> None:
        """Ids that edges add."""
        buckets = bucket_of(ids)
        order = np.argsort(buckets, kind="stable")
        batch = pa.record_batch({"id": ids, "number": numbers}).take(pa.array(order))
        ends = np.cumsum(np.bincount(buckets, minlength=NUM_BUCKETS))
        for bucket in np.unique(buckets).tolist():
            start = int(ends[bucket - 1]) if bucket else 0
            with open(self._created(bucket), "ab") as file, pa.ipc.new_stream(file, batch.schema) as writer:
                writer.write_batch(batch.slice(start, int(ends[bucket]) - start))

    def sort_created(self, first: int, count: int, memory: int) -> tuple[np.ndarray, Path]:
        """Ranks int64 (count) of the created ids by number - first, and a file of them in order."""
        path = self._folder / "sorted.arrows"
        if not count:
            pa.ipc.new_stream(str(path), pa.schema({"id": self._type})).close()
            return np.empty(0, np.int64), path
        by_value = pa.types.is_large_string(self._type) and self._all_integers()
        runs = self._runs(by_value)
        size = sum(run.nbytes for run in runs)
        splitters = _splitters(runs, min(_RANGES, 2 + 4 * size // max(memory, 1)))
        ranks = np.memmap(self._folder / "ranks", np.int64, "w+", shape=(count,))
        rank = 0
        starts = [0] * len(runs)
        with pa.ipc.new_stream(str(path), pa.schema({"id": self._type})) as writer:
            for splitter in [*splitters, None]:
                ends = [_cut(run, splitter) for run in runs]
                parts = [run.slice(start, end - start) for run, start, end in zip(runs, starts, ends, strict=True)]
                starts = ends
                piece = pa.Table.from_batches(parts).combine_chunks()
                if piece.num_rows == 0:
                    continue
                piece = piece.take(pc.sort_indices(piece.column("key")))
                ranks[piece.column("number").to_numpy() - first] = np.arange(rank, rank + piece.num_rows)
                rank += piece.num_rows
                writer.write_table(piece.select(["id"]))
        assert rank == count
        return ranks, path

    def _runs(self, by_value: bool) -> list[pa.RecordBatch]:
        """The created ids of each bucket, sorted; mapped from files."""
        runs = []
        for bucket in range(NUM_BUCKETS):
            if not self._created(bucket).exists():
                continue
            with pa.OSFile(str(self._created(bucket))) as file:
                table = pa.Table.from_batches(_streams(file)).combine_chunks()
            key = table.column("id").cast(pa.int64()) if by_value else table.column("id")
            table = table.append_column("key", key)
            table = table.take(pc.sort_indices(key)).combine_chunks()
            path = self._folder / f"{bucket}.run"
            with pa.ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table)
            runs.append(pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0))
        return runs

    def _all_integers(self) -> bool:
        for bucket in range(NUM_BUCKETS):
            if self._created(bucket).exists():
                with pa.OSFile(str(self._created(bucket))) as file:
                    if not all(all_integers(batch.column("id")) for batch in _streams(file)):
                        return False
        return True

    def _created(self, bucket: int) -> Path:
        return self._folder / f"{bucket}.created"


class DiskRound:
    """Batches of ids to look up together. After `add`, `resolve` goes through the buckets, and `numbers` tells."""

    def __init__(self, ids: DiskIds, folder: Path, memory: int) -> None:
        self._ids = ids
        self._asked = Buckets(folder, memory=memory)
        self._dealt = Dealt(folder)

    def add(self, ids: pa.Array) -> None:
        """Ask for a batch of ids."""
        bucket = bucket_of(ids)
        self._asked.add(bucket, pa.record_batch({"id": ids}))
        self._dealt.add(bucket)

    def resolve(self, next_number: int | None) -> int:
        """Look up all ids. next_number: the number of the first new id; None: ids that are not known stay so (-1).
        Returns how many were created."""
        created = 0
        for bucket in np.flatnonzero(self._asked.rows).tolist():
            index, numbers = self._ids.load(bucket)
            before = index.count
            found = []
            for batch in self._asked.read(bucket):
                ids = batch.column("id")
                found.append(index.find(ids) if next_number is None else index.insert(ids))
            if next_number is not None and index.count > before:
                new = np.arange(next_number, next_number + index.count - before) + created
                self._ids.add_created(index.ids_from(before), new)
                numbers.append(new)
                created += len(new)
            self._dealt.put(bucket, (numbers.take(piece) for piece in found))
        return created

    def numbers(self) -> Iterator[np.ndarray]:
        """int64 (rows) of each batch, -1: not known"""
        yield from self._dealt.numbers()

    def delete(self) -> None:
        """Free the disk."""
        self._asked.delete()


class _Numbers:
    """int64 values that are appended, and taken by position; position -1 gives -1."""

    def __init__(self) -> None:
        self._pieces: list[np.ndarray] = [np.empty(0, np.int64)]

    def append(self, numbers: np.ndarray) -> None:
        self._pieces.append(numbers)

    def take(self, positions: np.ndarray) -> np.ndarray:
        if not positions.size:
            return np.empty(0, np.int64)
        if len(self._pieces) > 1:
            self._pieces = [np.concatenate(self._pieces)]
        values = self._pieces[0]
        if not values.size:
            return np.full(len(positions), -1, np.int64)
        return np.where(positions < 0, -1, values[positions])


def read_sorted(path: Path) -> Iterator[pa.Array]:
    """The ids of a file that `sort_created` made, in pieces."""
    for batch in read_stream(path):
        yield batch.column("id")


def is_first(numbers: np.ndarray, before: int) -> np.ndarray:
    """bool (m): rows that are the first of their id. numbers: what IdIndex.insert gave; before: ids until then"""
    first: np.ndarray = numbers > np.maximum.accumulate(np.concatenate([[before - 1], numbers]))[:-1]
    return first


def _streams(file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of several streams one after another."""
    size = file.size()
    while file.tell() < size:
        reader = pa.ipc.open_stream(file)
        yield from reader


def _splitters(runs: list[pa.RecordBatch], ranges: int) -> list[Any]:
    """Keys between ranges of about equally many ids."""
    samples: list[Any] = []
    for run in runs:
        step = max(1, len(run) // _SAMPLE)
        samples += run.column("key").take(pa.array(range(0, len(run), step))).to_pylist()
    samples.sort()
    step = max(1, len(samples) // ranges)
    return samples[step::step]


def _cut(run: pa.RecordBatch, splitter: Any) -> int:
    """The first row of a run that is not below a key."""
    if splitter is None:
        return len(run)
    keys = run.column("key")
    row: int = bisect.bisect_left(range(len(run)), splitter, key=lambda row: keys[row].as_py())
    return row
