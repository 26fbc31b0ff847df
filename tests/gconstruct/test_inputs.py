"""Which files make a table, and the many ways they may be written."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet
import pytest

from gconstruct import build_graph, fingerprint, is_current
from gconstruct.inputs import resolve
from gconstruct.problems import Problems

from .tables import graph, item, link, read, write


def ids(folder: Path, **node: Any) -> list[Any]:
    """Ids of a graph of one node type."""
    build_graph(graph(folder, {"item": {"id": "id", **node}}), force=True)
    found: list[Any] = read(folder / "out/graph/part-0/nodes/item.arrow").column("id").to_pylist()
    return found


def test_folders_and_globs_are_sorted_and_no_file_comes_twice(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("2", "10", "1"):
        write(parts / f"part-{name}.parquet", id=[f"n{name}"])
    (parts / "_SUCCESS").write_text("")
    (parts / ".part-1.parquet.crc").write_bytes(b"x")
    (parts / "README.md").write_text("not data")
    assert ids(tmp_path, files="parts") == ["n1", "n10", "n2"]
    assert ids(tmp_path, files="parts/part-1*.parquet") == ["n1", "n10"]
    assert ids(tmp_path, files=["parts/part-2.parquet", "parts"]) == ["n2", "n1", "n10"]


def test_a_folder_of_files_without_suffix_needs_a_format(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "part-0").write_text("id\na\n")
    assert ids(tmp_path, files="raw", format="csv") == ["a"]


def test_formats_may_be_mixed_and_columns_come_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", x=[1], id=["a"])
    write(tmp_path / "b.pq.csv", id=["b"], other=["-"], x=[2])
    assert ids(tmp_path, files=["a.parquet", "b.pq.csv"], features={"x": "x"}) == ["a", "b"]


def test_tsv_and_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("id\tx\na,a\t1\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id,x\nb,2\n"))
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(b"x\tid\n3\tc\n"))
    assert ids(tmp_path, files=["a.tsv", "b.csv.gz", "c.tsv.gz"], features={"x": "x"}) == ["a,a", "b", "c"]


def test_csv_options(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("'a;a';1\nb;-\n")
    csv = {"delimiter": ";", "quote": "'", "header": ["id", "x"], "null_values": ["-"]}
    features = {"x": {"column": "x", "missing": "zero"}}
    assert ids(tmp_path, files="a.csv", csv=csv, features=features) == ["a;a", "b"]


def test_csv_with_byte_order_mark_line_breaks_in_fields_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfid,t\r\na,"one\ntwo, ""x"""\r\n\r\nb,\r\n')
    assert ids(tmp_path, files="a.csv", text={"t": {"columns": "t"}}) == ["a", "b"]
    texts = read(tmp_path / "out/graph/part-0/nodes/item.arrow").column("text:t").to_pylist()
    assert texts == ['one\ntwo, "x"', None]


@pytest.mark.parametrize("text", ["source,target", "source,target\n", "source,my target\n\n"])
def test_an_empty_csv_edge_table(text: str, tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_text(text)
    write(tmp_path / "items.parquet", id=["a"])
    lines: list[str] = []
    target = text.strip().split(",")[1]
    edges = [link(files="links.csv", target_id=target)]
    manifest = build_graph(graph(tmp_path, {"item": item()}, edges), progress=lines.append)
    assert manifest.num_edges == 0
    assert any(line.startswith("item:link:item: 0 edges") and line.endswith(": the table is empty") for line in lines)


def test_a_long_text_in_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id,t\na,{'long ' * 400_000}\n")
    assert ids(tmp_path, files="a.csv", text={"t": {"columns": "t"}}) == ["a"]


def test_urls(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    with fs.open("/tables/a.csv", "wb") as file:
        file.write(b"id\na\n")
    with fs.open("/tables/b.parquet", "wb") as file:
        pa.parquet.write_table(pa.table({"id": ["b"]}), file)
    with fs.open("/tables/c.csv.gz", "wb") as file:
        file.write(gzip.compress(b"id\nc\n"))
    assert ids(tmp_path, files="memory://tables") == ["a", "b", "c"]
    assert ids(tmp_path, files="memory://tables/*.csv") == ["a"]
    config = graph(tmp_path, {"item": item(files="a.csv")}).model_copy(update={"base": "memory://tables"})
    build_graph(config, force=True)
    assert is_current(config)
    mark = fingerprint(config)
    with fs.open("/tables/a.csv", "wb") as file:
        file.write(b"id\naa\n")
    assert fingerprint(config) != mark


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "memory://nowhere/x.csv",
            "memory://nowhere/x.csv must be a file, glob or folder that exists (got nothing there)",
        ),
        ("memory://nowhere/*.csv", "memory://nowhere/*.csv must match at least one file (got none)"),
        (
            "nosuch://x/y.csv",
            "nosuch://x/y.csv must be a URL that can be read (got ValueError: Protocol not known: nosuch)",
        ),
    ],
)
def test_urls_that_lead_nowhere(url: str, told: str) -> None:
    problems = Problems()
    assert resolve("graph.nodes.item", [url], None, "auto", problems) == []
    assert len(problems) == 1
    assert problems.messages[0].startswith(f"graph.nodes.item.files: {told}. Check the ")


def test_a_missing_package_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str, **options: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    problems = Problems()
    assert resolve("graph.nodes.item", ["s3://b/x.csv", "gs://b/y.csv"], None, "auto", problems) == []
    assert problems.messages == [
        "graph.nodes.item.files: s3://b/x.csv needs the package 's3fs', which is not installed. "
        "Install it with: pip install 'graphstorm-like[aws]'",
        "graph.nodes.item.files: gs://b/y.csv needs a package that is not installed (Install s3fs to access S3). "
        "Install it, or copy the files to a local disk",
    ]


def test_absolute_paths_and_file_urls(tmp_path: Path) -> None:
    path = write(tmp_path / "a [1].parquet", id=["a"])
    assert ids(tmp_path / "elsewhere", files=str(path)) == ["a"]
    assert ids(tmp_path / "elsewhere", files=f"file://{path}") == ["a"]


def test_importing_the_package_brings_neither_torch_nor_pyarrow() -> None:
    code = "import sys, gconstruct; print([m for m in ('torch', 'pyarrow', 'fsspec', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_build_does_not_bring_torch(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a"])
    code = (
        "import sys; from gconstruct import build_graph; from graphstorm_like.config.graph import GraphConfig; "
        "build_graph(GraphConfig.model_validate_json(sys.argv[1])); print('torch' in sys.modules)"
    )
    config = graph(tmp_path, {"item": item()}).model_dump_json()
    done = subprocess.run([sys.executable, "-c", code, config], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"
