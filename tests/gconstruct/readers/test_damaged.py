"""Damaged files: whatever their bytes are, there is a message or a table, never another error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gconstruct.problems import Problems
from gconstruct.tables.read import read_table, stream_table
from graphstorm_like.errors import DataError

from .formats import WRITERS, plan_of

ENDINGS = [".parquet", ".arrow", ".arrows", ".feather", ".orc", ".csv", ".csv.gz", ".csv.zst", ".jsonl", ".jsonl.gz"]
NODE: dict[str, Any] = {
    "features": {"x": {"column": "x", "missing": "zero"}},
    "text": {"t": {"columns": "t"}},
}
fuzzed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def sound(ending: str, folder: Path) -> bytes:
    """The bytes of a table of 50 rows."""
    path = folder / f"sound{ending}"
    table = pa.table({"id": [f"n{i}" for i in range(50)], "x": list(range(50)), "t": ["text"] * 50})
    WRITERS[ending](table, path)
    return path.read_bytes()


def outcome(content: bytes, ending: str, folder: Path) -> int | None:
    """Rows that can be read; None after a message."""
    path = folder / f"fuzzed{ending}"
    path.write_bytes(content)
    problems = Problems()
    try:
        plan = plan_of(folder, problems, files=path.name, **NODE)
        whole = read_table(plan, problems)
        streamed = list(stream_table(plan, Problems(), 7))
        assert (whole is None) == (len(problems) > 0)
        problems.raise_if_any()
    except DataError as err:
        message = str(err)
    else:
        assert whole is not None
        assert sum(map(len, streamed)) == len(whole)
        return len(whole)
    assert str(path) in message
    assert len(message) < 5000
    return None


@pytest.mark.parametrize("ending", ENDINGS)
def test_random_bytes(ending: str, tmp_path: Path) -> None:
    @fuzzed
    @given(st.binary(max_size=300))
    def check(content: bytes) -> None:
        outcome(content, ending, tmp_path)

    check()


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_were_cut_off(ending: str, tmp_path: Path) -> None:
    content = sound(ending, tmp_path)
    assert outcome(content, ending, tmp_path) == 50

    @fuzzed
    @given(st.integers(0, len(content) - 1))
    def check(size: int) -> None:
        rows = outcome(content[:size], ending, tmp_path)
        text = ending in (".csv", ".jsonl", ".arrows")
        assert rows is None or text, "only formats without an end can be cut where nothing shows it"

    check()


# Apache ORC's own C++ code may read beyond its buffers when bytes within a stripe are wrong, and end the process: see
# docs/operations/limits.md.
@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".orc"])
def test_files_with_some_wrong_bytes(ending: str, tmp_path: Path) -> None:
    content = sound(ending, tmp_path)
    changes = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=8)

    @fuzzed
    @given(changes)
    def check(wrong: list[tuple[int, int]]) -> None:
        damaged = bytearray(content)
        for place, byte in wrong:
            damaged[place] = byte
        outcome(bytes(damaged), ending, tmp_path)

    check()
