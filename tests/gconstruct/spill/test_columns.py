"""The writer of columns that are appended: the same file as whole columns give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gconstruct import write
from gconstruct.spill.columns import ColumnsWriter
from gconstruct.write import write_columns
from graphstorm_like.errors import DataError

ALL_TYPES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int64": (pa.int64(), [5, None, -7, 0, 2**40]),
    "uint8": (pa.uint8(), [1, 2, 3, 4, 5]),
    "float": (pa.float32(), [0.5, float("nan"), None, -0.0, 1e30]),
    "bool": (pa.bool_(), [True, None, False, True, True]),
    "text": (pa.large_string(), ["a", None, "", "grüße", "longer than the others"]),
    "short text": (pa.string(), ["a", None, "", "grüße", "x"]),
    "bytes": (pa.large_binary(), [b"", b"\x00\xff", None, b"abc", b"d"]),
    "vector": (pa.list_(pa.float32(), 2), [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]),
    "lists": (pa.large_list(pa.int32()), [[1], [], None, [2, 3, 4], [5]]),
    "lists of text": (pa.list_(pa.large_string()), [["a", None], [], None, ["b"], ["c", ""]]),
    "missing vectors": (pa.list_(pa.float32(), 2), [[1, 2], None, [5, 6], [7, 8], None]),
}


def file_of(folder: Path, columns: Mapping[str, Any], cuts: list[int], memory: int) -> bytes:
    """The columns, appended in slices between the cuts."""
    rows = len(next(iter(columns.values())))
    writer = ColumnsWriter(folder / "batches.arrow", folder / "scratch", memory)
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        writer.append({name: values[start:end] for name, values in columns.items()})
    assert len(writer) == rows
    path = folder / "batches.arrow"
    assert writer.finish() == path.stat().st_size
    assert not (folder / "scratch").exists()
    return path.read_bytes()


def expected(folder: Path, columns: Mapping[str, Any]) -> bytes:
    write_columns(folder / "whole.arrow", columns)
    return (folder / "whole.arrow").read_bytes()


@pytest.mark.parametrize("memory", [0, 100, 1 << 30])
@pytest.mark.parametrize("name", ALL_TYPES)
def test_every_type_gives_the_bytes_of_whole_columns(name: str, memory: int, tmp_path: Path) -> None:
    data_type, values = ALL_TYPES[name]
    columns = {"a": pa.array(values * 5, data_type), "row": np.arange(25)}
    assert file_of(tmp_path, columns, [3, 3, 8, 24], memory) == expected(tmp_path, columns)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(max_size=9)),
            st.one_of(st.none(), st.booleans()),
            st.floats(width=32),
        ),
        max_size=40,
    ),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    on_disk=st.booleans(),
)
def test_any_cuts_give_the_bytes_of_whole_columns(
    rows: list[tuple[str | None, bool | None, float]], cuts: list[int], on_disk: bool, tmp_path: Path
) -> None:
    texts, flags, numbers = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "text": pa.array(texts, pa.large_string()),
        "flag": pa.array(flags, pa.bool_()),
        "vector": np.array([numbers, numbers], np.float32).T.reshape(len(rows), 2),
    }
    cuts = sorted(min(cut, len(rows)) for cut in cuts)
    assert file_of(tmp_path, columns, cuts, 0 if on_disk else 1 << 20) == expected(tmp_path, columns)


def test_no_rows_give_an_empty_file_of_the_same_types(tmp_path: Path) -> None:
    columns = {name: pa.array([], data_type) for name, (data_type, _) in ALL_TYPES.items()}
    assert file_of(tmp_path, columns, [0], 0) == expected(tmp_path, columns)


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_a_column_may_come_later_and_stand_first(memory: int, tmp_path: Path) -> None:
    columns = {"id": pa.array(["a", "b", "c"], pa.large_string()), "number": np.arange(3)}
    writer = ColumnsWriter(tmp_path / "batches.arrow", tmp_path / "scratch", memory)
    for start in range(3):
        writer.append({"number": columns["number"][start : start + 1]})
    writer.append({"id": columns["id"]})
    writer.finish(first=["id"])
    assert (tmp_path / "batches.arrow").read_bytes() == expected(tmp_path, columns)


def test_a_file_is_refused_when_the_disk_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr(write.shutil, "disk_usage", lambda _: Usage)
    writer = ColumnsWriter(tmp_path / "a.arrow", tmp_path / "scratch", 0)
    writer.append({"a": np.arange(1000)})
    with pytest.raises(DataError, match=r"the disk must have 0\.00 GB free"):
        writer.finish()
    assert not (tmp_path / "a.arrow").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """400 MB of columns in a process that may hold 300 MB more than it starts with."""
    import subprocess
    import sys

    code = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from gconstruct.spill.columns import ColumnsWriter
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
folder = Path(sys.argv[1])
writer = ColumnsWriter(folder / "a.arrow", folder / "scratch", 10 << 20)
before = peak()
for _ in range(50):
    writer.append({"a": np.ones((100_000, 10)), "b": pa.array(["x" * 10] * 100_000, pa.large_string())})
size = writer.finish()
assert size > 400e6, size
print((peak() - before) / 1e6)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True, timeout=300
    )
    assert float(done.stdout) < 100
