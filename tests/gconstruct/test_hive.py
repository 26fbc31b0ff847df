"""Folders key=value around the files of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet
import pytest

from gconstruct import build_graph
from gconstruct.hive import hive_keys
from gconstruct.problems import Problems
from gconstruct.tables.read import read_table
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import GraphManifest

from .readers.formats import plan_of, write_as
from .tables import graph, item, link, read, write


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/data/year=2024/month=02/a.parquet", {"year": "2024", "month": "02"}),
        ("s3://b/kind=a%2Fb%20c/a=b.csv", {"kind": "a/b c"}),
        ("/data/kind=__HIVE_DEFAULT_PARTITION__/a", {"kind": None}),
        ("/data/kind=/a", {"kind": None}),
        ("/data/a=b=c/a", {"a": "b=c"}),
        ("/data/=x/a", {}),
    ],
)
def test_keys_of_a_path(path: str, keys: dict[str, str | None]) -> None:
    assert hive_keys(path) == keys


def year_folders(folder: Path) -> None:
    for year, month in ((2023, "11"), (2023, "12"), (2024, "01")):
        inner = folder / f"year={year}" / f"month={month}"
        inner.mkdir(parents=True)
        write_as(inner / "part-0.parquet", id=[f"{year}-{month}-{i}" for i in range(2)])
        (inner / "_SUCCESS").write_text("")
    (folder / "other").mkdir()
    write_as(folder / "other" / "part-0.parquet", id=["of another table"])
    (folder / "_temporary").mkdir()
    (folder / "_delta=1").mkdir()
    write_as(folder / "_delta=1" / "part-0.parquet", id=["hidden"])


YEAR = {"features": {"year": {"column": "year", "normalize": "none"}}, "text": {"month": {"columns": "month"}}}


def test_keys_are_columns(tmp_path: Path) -> None:
    year_folders(tmp_path / "items")
    problems = Problems()
    plan = plan_of(tmp_path, problems, files="items", **YEAR)
    table = read_table(plan, problems)
    assert table is not None
    assert table.data.column("id").to_pylist() == [
        f"{ym}-{i}" for ym in ("2023-11", "2023-12", "2024-01") for i in (0, 1)
    ]
    assert table.data.column("month").to_pylist() == ["11", "11", "12", "12", "01", "01"]
    build_graph(graph(tmp_path, {"item": {"id": "id", "files": "items", **YEAR}}))
    built = read(tmp_path / "out/graph/part-0/nodes/item.arrow")
    assert built.column("feature:year").to_pylist() == [[2023.0]] * 4 + [[2024.0]] * 2


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("items/year=2023", 4),
        ("items/**/*.parquet", 7),
        ("items/*/month=1*/*", 4),
        ("items/year=2023/month=11/part-0.parquet", 2),
    ],
)
def test_folders_and_globs_within(pattern: str, count: int, tmp_path: Path) -> None:
    year_folders(tmp_path / "items")
    table = read_table(plan_of(tmp_path, files=pattern), Problems())
    assert table is not None
    assert len(table) == count


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".arrow", ".orc", ".parquet"])
def test_all_formats_and_a_null(ending: str, tmp_path: Path) -> None:
    for kind in ("b", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "items" / f"kind={kind}").mkdir(parents=True)
        write_as(tmp_path / "items" / f"kind={kind}" / f"a{ending}", id=[f"{kind}1", f"{kind}2"])
    table = read_table(plan_of(tmp_path, files="items", text={"k": {"columns": "kind"}}), Problems())
    assert table is not None
    assert table.data.column("kind").to_pylist() == [None, None, "b", "b"]


def test_a_column_of_the_file_itself_counts(tmp_path: Path) -> None:
    (tmp_path / "kind=folder").mkdir()
    write(tmp_path / "kind=folder" / "a.parquet", id=["a"], kind=["file"])
    table = read_table(plan_of(tmp_path, files="kind=folder", text={"k": {"columns": "kind"}}), Problems())
    assert table is not None
    assert table.data.column("kind").to_pylist() == ["file"]


def test_a_key_may_be_an_end_of_edges(tmp_path: Path) -> None:
    """Its integers follow the type of the node table; one that is none is told."""
    write(tmp_path / "items.parquet", id=[1, 2])
    for source in ("1", "2"):
        (tmp_path / "links" / f"source={source}").mkdir(parents=True)
        write(tmp_path / "links" / f"source={source}" / "a.parquet", target=[1, 2])
    manifest: GraphManifest = build_graph(graph(tmp_path, {"item": item()}, [link(files="links")]))
    assert manifest.num_edges == 8
    (tmp_path / "links" / "source=x").mkdir()
    write(tmp_path / "links" / "source=x" / "a.parquet", target=[1])
    with pytest.raises(DataError, match="source=x/a.parquet row 1: column 'source' must hold int64 integers .got 'x'"):
        build_graph(graph(tmp_path, {"item": item()}, [link(files="links")]))


def test_a_key_that_some_files_lack(tmp_path: Path) -> None:
    year_folders(tmp_path / "items")
    write_as(tmp_path / "items" / "a.parquet", id=["a"])
    with pytest.raises(DataError, match="items/a.parquet: unknown column 'year'"):
        build_graph(graph(tmp_path, {"item": {"id": "id", "files": "items", **YEAR}}))


def test_behind_a_url(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    for path in ("year=2023/a.parquet", "year=2024/a.parquet", "year=2024/deep/b.parquet", "c.parquet"):
        with fs.open(f"/hive/items/{path}", "wb") as file:
            pa.parquet.write_table(pa.table({"id": [path]}), file)
    options: dict[str, Any] = {"base": "memory://hive"}
    config = graph(tmp_path, {"item": item(files="items")}).model_copy(update=options)
    build_graph(config)
    ids = read(tmp_path / "out/graph/part-0/nodes/item.arrow").column("id").to_pylist()
    assert ids == ["c.parquet", "year=2023/a.parquet", "year=2024/a.parquet"]
