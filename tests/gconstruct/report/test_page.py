"""The page: safe whatever it shows, alone, bounded, and with the numbers of report.json."""

from __future__ import annotations

import re
from pathlib import Path

from gconstruct.report import wording
from gconstruct.report.findings import find
from gconstruct.report.html import Html, table, tag
from gconstruct.report.model import (
    Construction,
    DegreeBin,
    Degrees,
    DroppedExample,
    DroppedRecord,
    EdgeProfile,
    FeatureProfile,
    Finding,
    GraphReport,
    Histogram,
    Hub,
    LabelProfile,
    NodeProfile,
    Numbers,
    StepRecord,
    TableRecord,
)
from gconstruct.report.page import page

from .graphs import config, report_of
from .pages import EVIL, Reader, assert_safe


def feature(value: float) -> FeatureProfile:
    return FeatureProfile(
        width=1,
        dtype="float32",
        encode="numeric",
        rows_seen=9,
        numbers=Numbers(min=0, max=value, mean=value / 3, std=1, zeros=0.5),
        median=value / 2,
        histogram=Histogram(low=0, high=value, counts=[4, 5]),
    )


def report(name: str, features: dict[str, FeatureProfile]) -> GraphReport:
    """One of everything, with this name wherever a name can stand."""
    ends = Degrees(
        node_type=name,
        nodes=9,
        without=1,
        mean=1.5,
        median=1,
        p99=9,
        max=9,
        bins=[DegreeBin(low=0, high=0, nodes=1), DegreeBin(low=1, high=1, nodes=8)],
        hubs=[Hub(id=name, degree=9)],
    )
    label = LabelProfile(
        kind="class",
        rows=9,
        labelled=9,
        splits={"none": 0, "train": 3, "valid": 3, "test": 3},
        classes=[name, "b"],
        class_counts={"none": [0, 0], "train": [3, 0], "valid": [2, 1], "test": [1, 2]},
    )
    node = NodeProfile(count=9, id_type="string", isolated=2, features=features, labels={name: label})
    edge = EdgeProfile(
        source=name, relation=name, target=name, count=12, out_degrees=ends, in_degrees=ends, repeated=1, loops=2
    )
    made = Construction(
        seconds=1.5,
        peak_bytes=10_000_000,
        steps=[StepRecord(name=name, depth=0, rows=9, seconds=1.5, cpu_seconds=1.4, peak_bytes=10_000_000)],
        tables={f"nodes.{name}": TableRecord(files=1, rows=11, bytes=100, nulls={name: 3})},
        dropped=[
            DroppedRecord(
                where=f"nodes.{name}", reason=name, count=2, examples=[DroppedExample(file=name, row=3, value=name)]
            )
        ],
    )
    whole = GraphReport(
        fingerprint="0" * 32,
        bytes=1000,
        nodes={name: node},
        edges={f"{name}:{name}:{name}": edge},
        dropped={f"nodes.{name}: {name}": 2},
        construction=made,
    )
    whole.findings = [*find(whole), Finding(level="warning", kind="evil", where=name, what=name, advice=name)]
    return whole


def test_names_and_values_cannot_become_markup() -> None:
    made = page(report(EVIL, {EVIL: feature(2.0)}), EVIL)
    seen = assert_safe(made)
    assert "\x00" not in made
    assert "\u202e" not in made
    assert any("<script>" in text for text in seen.text), "it is shown as text"


def test_the_page_of_a_graph_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    report_of(config(tmp_path))
    assert_safe((tmp_path / "out/graph/report.html").read_text(encoding="utf-8"))


def test_the_page_shows_the_numbers_of_the_json(tmp_path: Path) -> None:
    made = report_of(config(tmp_path))
    text = " ".join(Reader((tmp_path / "out/graph/report.html").read_text(encoding="utf-8")).text)
    words = re.sub(r"\s+", " ", text)
    items, links = made.nodes["item"], made.edges["item:link:item"]
    price = items.features["price"].numbers
    for value in (price.min, price.max, price.mean, price.std):
        assert wording.number(value) in words
    for degrees in (links.out_degrees, links.in_degrees):
        assert f"median {degrees.median}" in words
        assert f"max {degrees.max}" in words
        for hub in degrees.hubs:
            assert f"{hub.id} ({hub.degree})" in words
        for bin_ in degrees.bins:
            assert not bin_.nodes or f"edges: {bin_.nodes} nodes" in words
    for finding in made.findings:
        assert finding.what in words
    for category, share in zip(["x", "y", "z"], [4 / 6, 1 / 6, 1 / 6], strict=True):
        assert f"{category} {wording.share(share)}" in words
    assert made.construction is not None
    for record in made.construction.dropped:
        assert f"{record.where}: {record.reason}" in words
        for example in record.examples:
            assert f"{example.file} {example.row} {example.value}" in words
    for step in made.construction.steps:
        assert f"{step.name} {'-' if step.rows is None else step.rows}" in words


def test_many_features_stay_readable() -> None:
    features = {f"f{i:04d}": feature(float(i + 1)) for i in range(3_000)}
    features["flat"] = feature(1.0).model_copy(update={"constant": 1})
    made = page(report("item", features), "wide")
    assert len(made) < 500_000
    assert "The first 200 of 3,001 features" in made
    assert ">flat<" in made, "what stands out is listed"
    assert ">f2999<" in made, "so are the largest numbers"
    assert ">f1500<" not in made


def test_findings_of_a_kind_are_folded() -> None:
    whole = report("item", {})
    whole.findings = [Finding(level="note", kind="same", where=f"w{i}", what=f"what {i}") for i in range(500)]
    made = page(whole, "many")
    assert "497 more like these" in made
    assert "447 more are in report.json" in made


def test_text_is_text_and_markup_is_markup() -> None:
    assert tag("p", "a < b", Html("<b/>"), None, 3) == "<p>a &lt; b<b/>3</p>"
    assert tag("rect", x=1.50, class_='a"b', hidden=True, id=None) == '<rect x="1.5" class="a&quot;b" hidden/>'
    assert "<td>&lt;i&gt;</td>" in table(["<h>"], [["<i>"]])


def test_numbers_as_people_read_them() -> None:
    numbers = [wording.number(v) for v in (None, 0.0, 12, 1234567.0, 0.012345, 1234.5678, 2.5e12 + 0.5)]
    assert numbers == ["-", "0", "12", "1,234,567", "0.01235", "1,235", "2.5e+12"]
    assert wording.number(1e-9, 1.0) == "0"
    shares = [wording.share(part) for part in (0, 0.0001, 0.123, 0.9999, 1)]
    assert shares == ["0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100 %"]
    assert wording.share(1, 0) == "-"
    assert [wording.size(v) for v in (12, 3_400, 340_000, 5e12)] == ["12 B", "3.4 kB", "340 kB", "5.0 TB"]
    times = [wording.seconds(v) for v in (0.007, 0.12, 3.42, 125, 3725)]
    assert times == ["7 ms", "0.12 s", "3.4 s", "2 min 05 s", "1 h 02 min"]
