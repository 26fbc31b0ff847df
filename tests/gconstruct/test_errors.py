"""Broken inputs: each with its whole message (messages.txt), and with proof that nothing is left behind."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gconstruct import build_graph, is_current
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import read_manifest

from .tables import graph, item, link, read, write

IDS = ["a", "b", "c"]
EDGES = {"source": ["a", "b"], "target": ["b", "c"]}
COLUMN_SPLIT = {"column": "split"}


@dataclass(frozen=True)
class Case:
    """A broken graph: tables to write, and the configuration that reads them."""

    name: str
    """Its message stands under this name in messages.txt"""
    make: Callable[[Path], Any]
    nodes: dict[str, Any] | None = None
    edges: tuple[dict[str, Any], ...] = ()


def items(**columns: Any) -> Callable[[Path], Any]:
    """items.parquet with the ids a, b, c and these columns."""
    return lambda folder: write(folder / "items.parquet", **{"id": IDS, **columns})


def links(source: Any, target: Any, **columns: Any) -> Callable[[Path], Any]:
    """items.parquet with the ids a, b, c, and links.parquet with these columns."""

    def make(folder: Path) -> None:
        write(folder / "items.parquet", id=IDS)
        write(folder / "links.parquet", source=source, target=target, **columns)

    return make


def files(**contents: bytes) -> Callable[[Path], Any]:
    """Files with these bytes; '__' in a name stands for '.'."""

    def make(folder: Path) -> None:
        for name, content in contents.items():
            (folder / name.replace("__", ".")).write_bytes(content)

    return make


def both(*makers: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda folder: [make(folder) for make in makers]


def truncated(folder: Path) -> None:
    path = write(folder / "items.parquet", id=[f"id-{i}" for i in range(1000)])
    path.write_bytes(path.read_bytes()[:-20])


def two_files(**second: Any) -> Callable[[Path], Any]:
    def make(folder: Path) -> None:
        write(folder / "a.parquet", id=["a", "b"], x=[1, 2])
        write(folder / "b.parquet", **second)

    return make


def feature(**options: Any) -> dict[str, Any]:
    return {"item": item(features={"f": {"column": "x", **options}})}


def csv_item(**options: Any) -> dict[str, Any]:
    return {"item": {"files": "items.csv", "id": "id", **options}}


def text_item() -> dict[str, Any]:
    return {"item": item(text={"t": {"columns": "x"}})}


def not_utf8(*values: bytes) -> pa.StringArray:
    """Strings of these bytes, whatever they are: Arrow does not look."""
    binary = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(len(values), *binary.buffers()[1:])


LABEL = {"item": item(labels={"y": {"column": "y", "split": COLUMN_SPLIT}})}
NUMBER = {"item": item(labels={"y": {"column": "y", "kind": "number", "split": COLUMN_SPLIT}})}
SPLITS = ["train", "valid", "test"]
PAIR = {"item": {"files": ["a.parquet", "b.parquet"], "id": "id", "features": {"x": "x"}}}

CASES = [
    Case("missing file", lambda folder: None),
    Case("glob without a match", lambda folder: None, {"item": item(files="items-*.parquet")}),
    Case("empty folder", lambda f: (f / "items").mkdir(), {"item": item(files="items")}),
    Case("unknown suffix", files(items__xlsx=b"PK"), {"item": item(files="items.xlsx")}),
    Case("two files missing", lambda folder: None, {"item": item(files=["x.csv", "y.csv"])}),
    Case("missing column", items(price=[1.0, 2, 3]), {"item": item(features={"f": {"column": "prise"}})}),
    Case(
        "several missing columns",
        items(title=IDS),
        {"item": {"files": "items.parquet", "id": "idd", "text": {"t": {"columns": ["titel", "long"]}}}},
    ),
    Case("null id", items(id=["a", None, None])),
    Case("repeated id", items(id=["a", "b", "a"])),
    Case(
        "repeated id in another file",
        two_files(id=["c", "a", "b"], x=[1, 2, 3]),
        PAIR,
    ),
    Case("float id", items(id=[1.0, 2.0, 3.0])),
    Case("unknown node", links(["a", "x", "y", "x"], ["b", "b", "b", "z"]), edges=(link(),)),
    Case("one unknown node", links(["a", "x"], ["b", "b"]), edges=(link(),)),
    Case("null end", links(["a", None], ["b", "b"]), edges=(link(),)),
    Case("id types of nodes and edges differ", links([1, 2], [2, 1]), edges=(link(),)),
    Case(
        "ids of CSV edges are no integers",
        both(items(id=[1, 2, 3]), files(l__csv=b"source,target\n1,2\n2,x\n")),
        edges=(link(files="l.csv"),),
    ),
    Case("string feature", items(x=["1", "2", "3"]), feature()),
    Case("date feature", items(x=[datetime.date(2020, 1, 1)] * 3), feature()),
    Case("number in a CSV file", files(items__csv=b'id,x\na,1\nb,"1,5"\n'), csv_item(features={"f": "x"})),
    Case("feature beyond float32", items(x=[1e39, 2.0, -1e40]), feature(normalize="none")),
    Case(
        "feature beyond float32 in a list", items(x=[[1.0, 2.0], [3.0, -1e39], [5.0, 6.0]]), feature(normalize="none")
    ),
    Case("feature too large for its standard deviation", items(x=[1.0, 1e200, 3.0]), feature()),
    Case("constant feature beyond float32", items(x=[1e39, 1e39, None]), feature(normalize="standard", missing="zero")),
    Case("feature beyond bfloat16", items(x=[1.0, 3.4e38, 3.0]), feature(normalize="none", dtype="bfloat16")),
    Case("feature beyond float16", items(x=[1.0, 7e4, 3.0]), feature(normalize="none", dtype="float16")),
    Case("null feature", items(x=[1.0, None, None]), feature()),
    Case("NaN feature", items(x=pa.array([1.0, float("nan"), 3.0])), feature()),
    Case("infinite feature", items(x=[float("inf"), 2, 3]), feature(missing="mean")),
    Case("mean of nothing", items(x=pa.array([None] * 3, pa.float64())), feature(missing="mean")),
    Case("negative log1p", items(x=[-1, 2, -3]), feature(log1p=True)),
    Case("lists of several widths", items(x=[[1.0, 2], [1.0], [3.0, 4]]), feature()),
    Case("one_hot of floats", items(x=[1.0, 2, 3]), feature(encode="one_hot")),
    Case("one_hot of nothing", items(x=pa.array([None] * 3, pa.string())), feature(encode="one_hot")),
    Case("multi_hot without separator", items(x=["a;b", "c", "d"]), feature(encode="multi_hot")),
    Case(
        "multi_hot without separator in CSV",
        files(items__csv=b"id,x\na,b\n"),
        csv_item(features={"f": {"encode": "multi_hot", "column": "x"}}),
    ),
    Case("float class", items(y=[1.0, 2, 3], split=SPLITS), LABEL),
    Case("label column all null", items(y=pa.array([None] * 3, pa.string()), split=SPLITS), LABEL),
    Case("infinite label", items(y=[1, 2, float("-inf")], split=SPLITS), NUMBER),
    Case("label beyond float32", items(y=[1.0, 1e39, 3.0], split=SPLITS), NUMBER),
    Case("unknown split", items(y=IDS, split=["train", "dev", "Dev"]), LABEL),
    Case("integer split", items(y=IDS, split=[0, 1, 2]), LABEL),
    Case("0 bytes", files(items__parquet=b"")),
    Case("CSV with only a header", files(items__csv=b"id,x\n"), csv_item()),
    Case("Parquet without rows", items(id=pa.array([], pa.string()))),
    Case("truncated Parquet", truncated),
    Case("text named .parquet", files(items__parquet=b"id,x\na,1\n")),
    Case("ragged CSV", files(items__csv=b'id,x\na,"1\n2"\nb\nc,1\nd,2,3\n'), csv_item()),
    Case("CSV that is not UTF-8", files(items__csv=b"id,x\na,1\nb\xe9,2\n"), csv_item()),
    Case("Parquet text that is not UTF-8", items(x=not_utf8(b"fine", b"caf\xe9", b"x")), text_item()),
    Case("Parquet id that is not UTF-8", items(id=not_utf8(b"a", b"b", b"\xff"))),
    Case(
        "Parquet categories that are not UTF-8",
        items(x=not_utf8(b"a", b"b", b"\xff").dictionary_encode()),
        feature(encode="one_hot"),
    ),
    Case(
        "Parquet lists that are not UTF-8",
        items(x=pa.ListArray.from_arrays([0, 2, 2, 3], not_utf8(b"a", b"b", b"\xff"))),
        feature(encode="multi_hot"),
    ),
    Case("damaged gzip", files(items__csv__gz=b"id,x\na,1\n"), {"item": item(files="items.csv.gz")}),
    Case("repeated CSV column", files(items__csv=b"id,id\na,b\n"), csv_item()),
    Case("files of several types", two_files(id=["c"], x=["1"]), PAIR),
    Case(
        "wrong CSV file beside Parquet",
        both(two_files(id=["c"], x=[1]), files(b__csv=b"id,x\nd,1\ne,many\n")),
        {"item": {"files": ["a.parquet", "b.csv"], "id": "id", "features": {"x": "x"}}},
    ),
    Case("uint64 id", items(id=pa.array([1, 2**63, 3], pa.uint64()))),
    Case(
        "several tables",
        both(items(id=["a", "a", None]), links(["q"], ["a"])),
        {"item": item(), "user": item(id="nick")},
        edges=(link(),),
    ),
    Case(
        "several problems in a table",
        items(x=[None, -1.0, 1], y=[1.0, float("inf"), 2], split=["train", "no", None]),
        {
            "item": item(
                features={"f": {"column": "x", "log1p": True}, "g": "y"},
                labels={"z": {"column": "id", "split": COLUMN_SPLIT}},
            )
        },
    ),
    Case(
        "something else at the target",
        both(items(), lambda f: (f / "out").mkdir(), lambda f: (f / "out/graph").write_text("x")),
    ),
    Case("target under a file", both(items(), lambda f: (f / "out").write_text("x"))),
]


def expected() -> dict[str, str]:
    """Messages by the name of their case."""
    text = (Path(__file__).parent / "messages.txt").read_text(encoding="utf-8")
    return {part.partition("\n")[0]: part.partition("\n")[2].strip("\n") for part in text.split("## ")[1:]}


def build(case: Case, folder: Path) -> str:
    """The message of a case, with {tmp} for the folder, where nothing may be left behind."""
    case.make(folder)
    before = everything(folder)
    with pytest.raises(DataError) as caught:
        build_graph(graph(folder, case.nodes or {"item": item()}, list(case.edges)))
    assert everything(folder) == before
    return str(caught.value).replace(str(folder), "{tmp}")


def everything(folder: Path) -> list[str]:
    """All that lies in a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_input_is_told_in_full_and_leaves_nothing_behind(case: Case, tmp_path: Path) -> None:
    assert build(case, tmp_path) == expected()[case.name]


def test_every_message_belongs_to_a_case() -> None:
    assert list(expected()) == [case.name for case in CASES]


@pytest.mark.parametrize("name", ["null id", "unknown node", "truncated Parquet", "NaN feature"])
def test_an_older_graph_survives_a_broken_input(name: str, tmp_path: Path) -> None:
    case = next(c for c in CASES if c.name == name)
    items()(tmp_path)
    old = build_graph(graph(tmp_path, {"item": item()}))
    kept = everything(tmp_path / "out")
    build(case, tmp_path)
    assert everything(tmp_path / "out") == kept
    assert read_manifest(tmp_path / "out" / "graph") == old


def test_skip_and_drop_leave_bad_rows_out_and_count_them(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", None, "b", "a"], x=[1, 2, 3, 4])
    write(tmp_path / "links.parquet", source=["a", None, "b", "x"], target=["b", "a", "b", "a"])
    config = graph(
        tmp_path,
        {"item": item(on_bad_id="skip", features={"x": {"column": "x", "normalize": "none"}})},
        [link(on_bad_id="skip", on_unknown_node="drop")],
    )
    manifest = build_graph(config)
    assert manifest.dropped == {
        "nodes.item: null id": 1,
        "nodes.item: repeated id": 1,
        "edges.item:link:item: null end": 1,
        "edges.item:link:item: unknown node": 1,
    }
    folder = tmp_path / "out" / "graph" / "part-0"
    assert read(folder / "nodes/item.arrow").to_pydict() == {"id": ["a", "b"], "feature:x": [[1.0], [3.0]]}
    edges = read(folder / "edges/item--link--item.arrow").to_pydict()
    assert edges == {"source": [0, 1], "target": [1, 1]}


def test_rows_of_messages_are_those_of_the_file_even_after_rows_were_left_out(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=[None, "a", "b"], x=[1.0, 2.0, None])
    with pytest.raises(DataError, match=r"items.parquet row 3: column 'x' must be a number \(got null\)"):
        build_graph(graph(tmp_path, {"item": item(on_bad_id="skip", features={"x": "x"})}))


def test_many_problems_are_cut_short(tmp_path: Path) -> None:
    items()(tmp_path)
    features = {f"f{i}": f"x{i}" for i in range(25)}
    with pytest.raises(DataError) as caught:
        build_graph(graph(tmp_path, {"item": item(features=features)}))
    lines = str(caught.value).splitlines()
    assert lines[0] == "25 problems in the input tables:"
    assert lines[-1] == "... and 5 more"
    assert len(lines) == 22


def test_missing_inputs_are_not_current(tmp_path: Path) -> None:
    items()(tmp_path)
    config = graph(tmp_path, {"item": item()})
    build_graph(config)
    assert is_current(config)
    (tmp_path / "items.parquet").unlink()
    assert not is_current(config)


def test_a_url_is_no_target(tmp_path: Path) -> None:
    config = graph(tmp_path, {"item": item()}).model_copy(update={"path": "s3://bucket/graph"})
    with pytest.raises(DataError) as caught:
        build_graph(config)
    assert str(caught.value) == (
        "graph.path: must be a local folder (got 's3://bucket/graph'). "
        "Construct the graph on a local disk, then copy the folder"
    )


def test_a_full_disk_is_told_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items()(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"item.arrow: the disk must have 0.00 GB free for this file \(got 0.00 GB\)"):
        build_graph(graph(tmp_path, {"item": item()}))
    assert everything(tmp_path) == ["items.parquet"]
