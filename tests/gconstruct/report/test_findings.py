"""Findings: each rule speaks up when it should, and is silent on a plain graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gconstruct.report.findings import find
from gconstruct.report.model import GraphReport, LeakRecord

from ..tables import graph, item, link, write
from .graphs import config, report_of


def kinds(report: GraphReport) -> dict[str, list[str]]:
    """Where, by kind of finding."""
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.kind, []).append(finding.where)
    return found


def test_findings_of_a_small_graph(tmp_path: Path) -> None:
    report = report_of(config(tmp_path))
    assert kinds(report) == {
        "isolated": ["item"],
        "constant": ["item.features.same"],
        "classes_unseen": ["item.labels.colour"],
        "dropped": ["nodes.item", "nodes.item", "edges.item:link:item", "edges.item:link:item"],
        "lost_split": ["nodes.item.labels.colour"],
        "texts_missing": ["item.text.title"],
        "repeated": ["item:link:item"],
        "loops": ["item:link:item"],
    }
    levels = [finding.level for finding in report.findings]
    assert levels == sorted(levels, reverse=True), "warnings first"
    said = {finding.kind: finding.what for finding in report.findings}
    assert said["isolated"] == "3 of 6 nodes (50.0 %) have no edge of any type."
    assert said["classes_unseen"] == ("1 of 2 classes have no training row, but rows of validation or test: 'blue'.")


def test_a_plain_graph_has_no_findings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write(tmp_path / "items.parquet", id=list(range(50)), x=rng.normal(size=50))
    write(tmp_path / "links.parquet", source=list(range(50)), target=[*range(1, 50), 0])
    report = report_of(graph(tmp_path, {"item": item(features={"x": {"column": "x"}})}, [link()]))
    assert report.findings == []


def test_long_tails_zeros_empty_types_and_nulls(tmp_path: Path) -> None:
    tail, rare = np.zeros(10_000), np.zeros(10_000)
    tail[:] = np.arange(10_000) % 7
    tail[3] = 1e6
    rare[5] = 1.0
    texts = ["only this"] * 100 + [None] * 9_900
    write(tmp_path / "items.parquet", id=list(range(10_000)), tail=tail, rare=rare, text=texts)
    write(tmp_path / "links.parquet", source=np.array([], np.int64), target=np.array([], np.int64))
    features = {"tail": {"column": "tail", "normalize": "none"}, "rare": {"column": "rare"}}
    features["rare"]["normalize"] = "none"
    nodes = {"item": item(features=features, text={"text": {"columns": "text"}})}
    found = kinds(report_of(graph(tmp_path, nodes, [link()])))
    assert found["far_out"] == ["item.features.tail", "item.features.rare"]
    assert found["mostly_zero"] == ["item.features.rare"]
    assert found["no_edges"] == ["item:link:item"]
    assert found["nulls"] == ["nodes.item"]
    assert found["texts_alike"] == ["item.text.text"]


def test_leaks_are_warnings(tmp_path: Path) -> None:
    report = report_of(config(tmp_path))
    report.leaks = [
        LeakRecord(
            rule="copied_edges",
            where="edges item:link:item",
            count=3,
            looked_at=10,
            total=100,
            what="test edges are training edges too",
            fix="Leave them out",
            examples=["a -> b"],
        )
    ]
    first = find(report)[0]
    assert (first.level, first.kind, first.advice) == ("warning", "leak_copied_edges", "Leave them out.")
    assert first.what == "Leak: 3 of 10 (a sample of 100) test edges are training edges too, e.g. a -> b."
