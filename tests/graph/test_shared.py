"""Tables in a shared-memory folder: made whole or not at all, found by name, read by all, let go."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstorm_like.errors import DataError
from graphstorm_like.graph import partition_reader as partition_module
from graphstorm_like.graph import shared
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_reader import HiddenEdges, Partition, _plain
from graphstorm_like.graph.shared import SharedTable, create_rows, drop, find, is_there, made_once, publish
from graphstorm_like.ranks import tables as tables_module
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.ranks.names import TableNames
from graphstorm_like.ranks.tables import RowTable, row_bounds

# --------------------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("shape", [(5, 3), (0, 3), (4, 0), (1, 1)])
@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<i8"])
def test_a_table_is_made_found_and_dropped(tmp_path: Path, shape: tuple[int, int], dtype: str) -> None:
    assert not is_there(tmp_path, "a table: of/anything")
    with pytest.raises(DataError, match=r"must hold a table 'a table: of/anything' \(No such file"):
        find(tmp_path, "a table: of/anything")
    made = create_rows(tmp_path, "a table: of/anything", shape, dtype)
    create_rows(tmp_path, "another", (2, 2), "<f4")[:] = 9
    assert (made.shape, made.dtype.str, made.any()) == (shape, dtype, False)
    assert is_there(tmp_path, "a table: of/anything")
    found = find(tmp_path, "a table: of/anything")
    assert (found.name, found.shape, found.dtype) == ("a table: of/anything", shape, dtype)
    rows = found.open()
    made[:] = np.arange(made.size).reshape(shape)
    everything = np.arange(shape[0])
    assert rows[everything].tolist() == made.tolist()
    assert rows[everything[::-1]].tolist() == made[::-1].tolist()
    if made.size:
        with pytest.raises(ValueError, match="read-only"):
            rows.values[0] = 1
    drop(tmp_path, "a table: of/anything")
    drop(tmp_path, "a table: of/anything")
    assert not is_there(tmp_path, "a table: of/anything")
    assert is_there(tmp_path, "another")
    assert rows[everything].tolist() == made.tolist()  # who has mapped it keeps it


def test_a_table_of_files_that_lie_elsewhere(tmp_path: Path) -> None:
    """As text vectors do: unique rows, and an index."""
    rows, index = np.arange(6, dtype="<f2").reshape(3, 2), np.array([2, 0, 0, 1], dtype="<i4")
    rows.tofile(tmp_path / "rows")
    index.tofile(tmp_path / "index")
    (tmp_path / "shm").mkdir()
    files = str(tmp_path / "rows"), str(tmp_path / "index")
    publish(tmp_path / "shm", SharedTable("texts", files[0], "<f2", (3, 2), files[1], "<i4"))
    found = find(tmp_path / "shm", "texts").open()
    assert found[np.array([3, 0, 1])].tolist() == rows[index[[3, 0, 1]]].tolist()
    drop(tmp_path / "shm", "texts")
    assert (tmp_path / "rows").exists()


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A memory disk of so many bytes; skips where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("no mount")
    if done.returncode:
        pytest.skip("a memory disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


FILL = """
import sys
from pathlib import Path
from graphstorm_like.errors import DataError
from graphstorm_like.graph.shared import create_rows
made, folder = [], Path(sys.argv[1])
try:
    while True:
        made.append(create_rows(folder, f"table {len(made)}", (50_000, 1), "<f4"))
except DataError as err:
    print(err)
for table in made:
    table[:] = 1.0  # a bus error, were the pages not there
print(len(made), sorted(p.suffix for p in folder.iterdir()).count(".rows"))
"""


def test_a_full_folder_is_told_of_when_a_table_is_made(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        done = subprocess.run([sys.executable, "-c", FILL, str(disk)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message, counts = done.stdout.strip().splitlines()
    assert "No space left" in message
    assert counts == "5 5"


@pytest.mark.parametrize("at", ["rows", "json"])
def test_no_room_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if at == "rows":
            patch.setattr(os, "posix_fallocate", full, raising=False)
        else:
            patch.setattr(os, "replace", full)
        with pytest.raises(DataError, match=r"must have room for 0.00 GB of table 'table' .*No space left.*--shm-size"):
            create_rows(tmp_path, "table", (10, 10), "<f4")
    assert not is_there(tmp_path, "table")
    assert [p for p in tmp_path.iterdir() if ".tmp" not in p.name] == []
    create_rows(tmp_path, "table", (10, 10), "<f4")


# -------------------------------------------------------------------------------------------- tables behind a partition


def test_threads_open_and_drop_tables(shop: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the threads of a server do while trainers make tables and let them go."""
    graph = LocalGraph(shop[1])
    part = Partition(shop[1], graph.manifest, 0, HiddenEdges({}, {}), tmp_path)
    failed: list[Exception] = []

    def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (time.sleep(0.001), function(*arguments))[1]

    def work(number: int) -> None:
        try:
            for turn in range(20):
                name = f"{number}.{turn}"
                create_rows(tmp_path, f"item:{name}", (4, 1), "<f4")[:] = number
                for _ in range(2):
                    found = part.begin_rows(("item", f"shared:{name}"), np.arange(4)).wait()
                    assert (found == number).all()
                drop(tmp_path, f"item:{name}")
        except Exception as err:
            failed.append(err)

    with monkeypatch.context() as patch:  # other threads go on in the middle of it
        patch.setattr(partition_module, "find", slowly(find))
        patch.setattr(partition_module, "is_there", slowly(is_there))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failed == []
    create_rows(tmp_path, "item:last", (4, 1), "<f4")
    part.begin_rows(("item", "shared:last"), np.arange(4)).wait()
    assert list(part._shared_rows) == ["item:last"]  # what was dropped is let go


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64(), pa.int8()], ids=str)
def test_features_of_any_width_are_read_as_they_lie(kind: pa.DataType) -> None:
    values = np.arange(12).astype(kind.to_pandas_dtype())
    column = pa.FixedSizeListArray.from_arrays(pa.array(values), 3)
    for piece, expected in ((column, values.reshape(4, 3)), (column.slice(1, 2), values.reshape(4, 3)[1:3])):
        found = _plain(piece)
        assert found.dtype == values.dtype
        assert found.tolist() == expected.tolist()
        assert not found.flags.owndata  # no copy


# ------------------------------------------------------------------------------------------------------------- RowTable


@pytest.mark.parametrize("in_file", [False, True])
def test_a_table_of_a_process_alone(shop: tuple[Path, Path], tmp_path: Path, in_file: bool) -> None:
    graph, file = LocalGraph(shop[1]), tmp_path / "rows" if in_file else None
    table = RowTable(graph, "item", 4, SINGLE_PROCESS, None, file)
    count = graph.manifest.node("item").count
    assert (table.is_whole, table.start, table.stop, len(table), table.shape) == (True, 0, count, count, (count, 4))
    assert not np.asarray(table).any()
    whole = np.random.default_rng(0).random((count, 4), dtype=np.float32)
    table.put(0, whole[:5])
    table.put(5, whole[5:])
    ids = np.random.default_rng(1).integers(count, size=30)
    assert table.rows(ids).tolist() == whole[ids].tolist() == table.begin_rows(ids).wait().tolist()
    assert table[ids].tolist() == whole[ids].tolist()
    assert table[2:9].tolist() == whole[2:9].tolist()
    assert np.asarray(table, dtype=np.float64).dtype == np.float64
    for first, rows in ((count, whole[:1]), (count - 1, whole[:2]), (-1, whole[:1])):
        with pytest.raises(AssertionError, match="another rank"):
            table.put(first, rows)
    if file is not None:
        assert np.fromfile(file, np.float32).reshape(count, 4).tolist() == whole.tolist()


@pytest.mark.parametrize("width", [0, 1])
def test_empty_tables(shop: tuple[Path, Path], tmp_path: Path, width: int) -> None:
    table = RowTable(LocalGraph(shop[1]), "item", width, SINGLE_PROCESS, None, tmp_path / "rows")
    assert table.rows(np.array([0, 1])).shape == (2, width)
    assert table.rows(np.zeros(0, np.int64)).shape == (0, width)


def test_ranks_of_a_host_map_one_table(
    shop: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, tables = LocalGraph(shop[1]), []
    for rank in range(3):
        group = Group()
        group.rank = group.local_rank = rank
        group.size = group.local_size = 3
        monkeypatch.setattr(tables_module, "TABLE_NAMES", TableNames())  # each rank is a process of its own
        tables.append(RowTable(graph, "item", 2, group, tmp_path))
    count = graph.manifest.node("item").count
    assert [tables[0].start, *(t.stop for t in tables)] == row_bounds(graph, "item", group).tolist()
    for rank, table in enumerate(tables):
        table.put(table.start, np.full((table.stop - table.start, 2), rank, np.float32))
    for table in tables:
        assert not table.is_whole
        assert np.asarray(table)[:, 0].tolist() == np.repeat([0, 1, 2], [t.stop - t.start for t in tables]).tolist()
        assert len(table.rows(np.arange(count))) == count
    assert len(list(tmp_path.glob("*.rows"))) == 1
    del table
    tables.clear()
    assert len(list(tmp_path.glob("*.rows"))) == 1  # others may still read it
    group.rank = group.local_rank = 0
    again = RowTable(graph, "item", 2, group, tmp_path)
    assert len(list(tmp_path.glob("*.rows"))) == 1  # the old one went, where all ranks have come to make the next
    assert not np.asarray(again).any()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(1, 9))
def test_bounds_cover_all_rows_in_order(sizes: list[int], trainers: int) -> None:
    """For hosts x trainers: ascending, a host's ranks within its partition, in shares that differ by one at most."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    group: Any = SimpleNamespace(hosts=1, local_size=trainers)
    counted: Any = SimpleNamespace(manifest=SimpleNamespace(node=lambda _: SimpleNamespace(count=int(starts[-1]))))
    bounds = row_bounds(counted, "item", group)
    assert (bounds[0], bounds[-1], len(bounds)) == (0, starts[-1], trainers + 1)
    shares = np.diff(bounds)
    assert shares.min() >= 0
    assert shares.max() - shares.min() <= 1
    assert shares.sum() == starts[-1]


@pytest.mark.parametrize("shape", [(7,), (7, 1), (4, 3), (0,), (0, 2)])
def test_made_once(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """The first that asks makes it; all read one copy, of the same form."""
    wanted, calls = np.arange(np.prod(shape), dtype=np.int16).reshape(shape), []

    def make() -> Any:
        calls.append(1)
        return wanted

    for _ in range(3):
        found = made_once(tmp_path, "labels", make)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert found.tolist() == wanted.tolist()
    assert len(calls) == 1
    assert not (found.size and found.flags.writeable)


def test_without_room_each_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, size: int) -> None:
        raise DataError("no room")

    monkeypatch.setattr(shared, "reserve", full)
    made = [made_once(tmp_path, "labels", lambda: np.arange(3)) for _ in range(2)]
    assert [m.tolist() for m in made] == [[0, 1, 2]] * 2
    assert not [p for p in tmp_path.iterdir() if p.suffix != ".lock"]
