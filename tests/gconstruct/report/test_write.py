"""report.html and report.json: made by construction, made again, and never in the way of the graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph
from gconstruct.construction import is_current
from gconstruct.report import write as report_write
from gconstruct.report.model import GraphReport
from gconstruct.report.write import graph_name, write_report
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.verify import verify_graph

from ..tables import graph, item, write
from .graphs import ITEMS, config, report_of


def test_construction_writes_it_beside_the_graph(tmp_path: Path) -> None:
    lines: list[str] = []
    manifest = build_graph(config(tmp_path), progress=lines.append)
    folder = tmp_path / "out/graph"
    assert lines[-1].startswith(f"{folder / 'report.html'}: what is in the graph, ")
    assert {"report.html", "report.json"} < {path.name for path in folder.iterdir()}
    assert not [name for name in manifest.hashes if "report" in name]
    verify_graph(folder, manifest)


def test_the_graph_is_up_to_date_with_and_without_it(tmp_path: Path) -> None:
    made = config(tmp_path)
    first = build_graph(made)
    for name in ("report.html", "report.json"):
        (tmp_path / "out/graph" / name).unlink()
    assert is_current(made)
    assert build_graph(config(tmp_path, report=False)) == first
    assert not (tmp_path / "out/graph/report.html").exists(), "nothing was built"
    build_graph(config(tmp_path, report=False), force=True)
    assert not (tmp_path / "out/graph/report.html").exists()
    assert is_current(made)


def test_a_failing_report_does_not_lose_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("no page today")

    monkeypatch.setattr(report_write, "page", failing)
    lines: list[str] = []
    manifest = build_graph(config(tmp_path), progress=lines.append)
    folder = tmp_path / "out/graph"
    assert lines[-1] == (
        f"warning: {folder}: the report could not be made (RuntimeError: no page today). The graph is complete; try "
        f"again with: gsl show graph {folder} --report"
    )
    verify_graph(folder, manifest)
    assert read_manifest(folder) == manifest
    monkeypatch.undo()
    write_report(folder)
    assert (folder / "report.html").is_file()


def test_it_is_the_same_each_time_and_keeps_the_record(tmp_path: Path) -> None:
    first = report_of(config(tmp_path))
    folder = tmp_path / "out/graph"
    made = []
    for _ in range(2):
        write_report(folder)
        made.append([(folder / name).read_bytes() for name in ("report.html", "report.json")])
    assert made[0] == made[1]
    again = GraphReport.model_validate_json(made[0][1])
    assert again.construction == first.construction
    assert again.model_dump(exclude={"report_seconds"}) == first.model_dump(exclude={"report_seconds"})


@pytest.mark.parametrize("damage", ["gone", "broken", "of another graph"])
def test_without_a_record_it_says_what_the_files_say(tmp_path: Path, damage: str) -> None:
    first = report_of(config(tmp_path))
    old = tmp_path / "out/graph/report.json"
    if damage == "gone":
        old.unlink()
    elif damage == "broken":
        old.write_text("{}")
    else:
        old.write_text(json.dumps({**json.loads(old.read_text()), "fingerprint": "0" * 32}))
    report = write_report(old.parent)
    assert report.construction is None
    assert report.nodes["item"].from_edges is None
    assert report.dropped == first.dropped
    assert report.edges == first.edges


def test_findings_of_the_leak_guard_are_shown(tmp_path: Path) -> None:
    long = "the same long text of two items, one of them in training"
    texts = [long, long, "another long text that no other item of this table has", "yet another text, as long as these"]
    splits = ["train", "test", "train", "test"]
    write(tmp_path / "items.parquet", id=list("abcd"), title=texts, y=["p", "p", "q", "q"], split=splits)
    labels = {"y": {"column": "y", "split": {"column": "split"}}}
    report = report_of(graph(tmp_path, {"item": item(text={"title": {"columns": "title"}}, labels=labels)}))
    assert report.leaks is not None
    assert [(leak.rule, leak.count, leak.looked_at) for leak in report.leaks] == [("copied_nodes", 1, 2)]
    assert report.findings[0].kind == "leak_copied_nodes"
    assert "Leak: 1 of 2 " in (tmp_path / "out/graph/report.html").read_text(encoding="utf-8")
    (tmp_path / "out/graph/leaks.json").unlink()
    assert write_report(tmp_path / "out/graph").leaks is None


def test_a_folder_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a graph folder"):
        write_report(tmp_path)
    report_of(config(tmp_path))
    (tmp_path / "out/graph/part-0/nodes/item.arrow").unlink()
    with pytest.raises(DataError, match="item.arrow"):
        write_report(tmp_path / "out/graph")


def test_values_of_tables_are_escaped_in_the_page(tmp_path: Path) -> None:
    made = config(tmp_path)
    evil = "<script>alert(1)</script>"
    ids = [evil if value == "a" else value for value in ITEMS["id"]]
    write(tmp_path / "items.parquet", **{**ITEMS, "id": ids, "colour": [evil] * 8, "kind": [evil, *ITEMS["kind"][1:]]})
    write(tmp_path / "links.parquet", source=[evil, evil, "b"], target=["b", "<b>gone</b>", "c"])
    report_of(made)
    text = (tmp_path / "out/graph/report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>gone" not in text
    assert text.count("&lt;script&gt;") >= 4


def test_the_name_of_a_graph(tmp_path: Path) -> None:
    assert graph_name(tmp_path / "runs/shop/graph") == "shop"
    assert graph_name(tmp_path / "runs/corpus") == "corpus"
