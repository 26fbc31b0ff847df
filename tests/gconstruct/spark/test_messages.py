"""Both engines say the same about tables that break a rule: file, row, value, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ..tables import write
from . import samples
from .local_cluster import use
from .parity import errors_of_both

NODE: dict[str, Any] = {"files": "n-*.parquet", "id": "id"}
EDGE: dict[str, Any] = {"source": "n", "relation": "to", "target": "n", "files": "e-*.parquet"}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def good(folder: Path, **columns: Any) -> None:
    """Two node files with these columns of 3 + 2 rows, and two edge files."""
    ids = columns.pop("id", ["a", "b", "c", "d", "e"])
    for file, rows in enumerate((slice(0, 3), slice(3, 5))):
        write(folder / f"n-{file}.parquet", id=ids[rows], **{name: v[rows] for name, v in columns.items()})
    write(folder / "e-0.parquet", source=["a", "b"], target=["c", "d"])
    write(folder / "e-1.parquet", source=["e"], target=["a"])


def null_ids(folder: Path) -> dict[str, Any]:
    good(folder, id=["a", None, "c", None, "e"])
    return {"nodes": {"n": NODE}}


def repeated_ids(folder: Path) -> dict[str, Any]:
    good(folder, id=["a", "b", "a", "b", "a"])
    return {"nodes": {"n": NODE}}


def many_repeated_ids(folder: Path) -> dict[str, Any]:
    write(folder / "n-0.parquet", id=["a", "b", "c"])
    write(folder / "n-1.parquet", id=list("abcdefgabc"))
    return {"nodes": {"n": NODE}}


def no_rows(folder: Path) -> dict[str, Any]:
    good(folder, id=pa.array([None] * 5, pa.string()))
    return {"nodes": {"n": {**NODE, "on_bad_id": "skip"}}}


def unknown_nodes(folder: Path) -> dict[str, Any]:
    good(folder)
    write(folder / "e-1.parquet", source=["zz", "a", "zz", "yy"], target=["a", "xx", "vv", "a"])
    write(folder / "e-2.parquet", source=["zz", "ww", "uu"], target=["a", "a", "a"])
    return {"nodes": {"n": NODE}, "edges": [EDGE]}


def one_unknown_node(folder: Path) -> dict[str, Any]:
    good(folder)
    write(folder / "e-1.parquet", source=["zz"], target=["a"])
    return {"nodes": {"n": NODE}, "edges": [EDGE]}


def null_ends(folder: Path) -> dict[str, Any]:
    good(folder)
    write(folder / "e-1.parquet", source=["a", None, None], target=["a", "b", None])
    return {"nodes": {"n": NODE}, "edges": [EDGE]}


def repeated_edges(folder: Path) -> dict[str, Any]:
    good(folder)
    write(folder / "e-1.parquet", source=["a", "e", "b", "a"], target=["c", "a", "d", "c"])
    return {"nodes": {"n": NODE}, "edges": [{**EDGE, "on_repeated_edge": "error"}]}


def missing_numbers(folder: Path) -> dict[str, Any]:
    good(folder, x=[1.0, None, 2.0, None, None])
    return {"nodes": {"n": {**NODE, "features": {"x": "x"}}}}


def infinite_numbers(folder: Path) -> dict[str, Any]:
    good(folder, x=[1.0, 2.0, 2.0, float("inf"), 1.0])
    return {"nodes": {"n": {**NODE, "features": {"x": "x"}}}}


def lists_of_two_lengths(folder: Path) -> dict[str, Any]:
    good(folder, x=[[1.0, 2.0], [1.0], [2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0]])
    return {"nodes": {"n": {**NODE, "features": {"x": "x"}}}}


def too_large_for_float16(folder: Path) -> dict[str, Any]:
    good(folder, x=[1.0, 2.0, 1e5, 3.0, 2e5])
    feature = {"x": {"column": "x", "normalize": "none", "dtype": "float16"}}
    return {"nodes": {"n": {**NODE, "features": feature}}}


def no_category(folder: Path) -> dict[str, Any]:
    good(folder, x=pa.array([None] * 5, pa.string()))
    return {"nodes": {"n": {**NODE, "features": {"x": {"encode": "one_hot", "column": "x"}}}}}


def no_labels(folder: Path) -> dict[str, Any]:
    good(folder, y=pa.array([None] * 5, pa.string()))
    return {"nodes": {"n": {**NODE, "labels": {"y": {"column": "y", "split": samples.SPLIT}}}}}


def unknown_splits(folder: Path) -> dict[str, Any]:
    good(folder, y=["a", "b", "a", "b", "a"], s=["train", "trian", "test", "valid", "tst"])
    return {"nodes": {"n": {**NODE, "labels": {"y": {"column": "y", "split": {"column": "s"}}}}}}


def infinite_labels(folder: Path) -> dict[str, Any]:
    good(folder, y=[1.0, float("inf"), 2.0, float("-inf"), 1.0])
    return {"nodes": {"n": {**NODE, "labels": {"y": {"column": "y", "kind": "number", "split": samples.SPLIT}}}}}


def several_tables(folder: Path) -> dict[str, Any]:
    good(folder, x=[1.0, None, 2.0, None, None])
    write(folder / "m.parquet", id=["a", "a"], x=[1.0, 2.0])
    return {
        "nodes": {
            "n": {**NODE, "features": {"x": "x"}},
            "m": {"files": "m.parquet", "id": "id", "features": {"x": {"column": "x", "log1p": True}}},
        }
    }


def not_numbers(folder: Path) -> dict[str, Any]:
    (folder / "n-0.csv").write_text("id,x\na,1\nb,two\n")
    (folder / "n-1.csv").write_text("id,x\nc,3\nd,4\n")
    return {"nodes": {"n": {"files": "n-*.csv", "id": "id", "features": {"x": "x"}}}}


def uneven_lines(folder: Path) -> dict[str, Any]:
    (folder / "n-0.csv").write_text("id,x\na,1\nb\n")
    return {"nodes": {"n": {"files": "n-0.csv", "id": "id", "features": {"x": "x"}}}}


def unreadable(folder: Path) -> dict[str, Any]:
    good(folder)
    content = (folder / "n-1.parquet").read_bytes()
    (folder / "n-1.parquet").write_bytes(b"PAR1" + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    return {"nodes": {"n": NODE}}


def missing_files(folder: Path) -> dict[str, Any]:
    return {"nodes": {"n": NODE}}


CASES: tuple[Callable[[Path], dict[str, Any]], ...] = (
    null_ids, repeated_ids, many_repeated_ids, no_rows, unknown_nodes, one_unknown_node, null_ends, repeated_edges,
    missing_numbers,
    infinite_numbers, lists_of_two_lengths, too_large_for_float16, no_category, no_labels, unknown_splits,
    infinite_labels, several_tables, not_numbers, uneven_lines, unreadable, missing_files,
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("work_bytes", [1, 1 << 20], ids=["pieces", "whole"])
def test_message(tmp_path: Path, case: Any, work_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, work_bytes)
    arrow, spark = errors_of_both(tmp_path, case(tmp_path))
    assert arrow.startswith("TableError: ")
    if case is lists_of_two_lengths and work_bytes == 1:  # each piece has a first list of its own
        assert "must be a list of 2 numbers" in spark
        return
    assert spark == arrow
