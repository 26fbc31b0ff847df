"""The page: safe and whole whatever it shows, bounded, and with the numbers of report.json."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml

from graphstorm_like.reports.classes import calibration, class_scores, confusion, count_classes
from graphstorm_like.reports.model import (
    Bin,
    Breakdown,
    Bucket,
    Cost,
    CurveRecord,
    Data,
    EmbeddingMap,
    Example,
    ExampleNode,
    MetricFacts,
    NamedNode,
    NumberSpread,
    Ranks,
    Residuals,
    RunReport,
    Score,
)
from graphstorm_like.reports.nodes import TEXT_CHARACTERS, cut_text
from graphstorm_like.reports.page import page, yaml_text
from graphstorm_like.reports.plots import short_number
from graphstorm_like.reports.wording import metric
from tests.gconstruct.report.pages import EVIL, assert_safe


def everything(name: str, classes: int = 3) -> RunReport:
    """One of each, with this name wherever a name can stand."""
    names = [f"{name} {i}" for i in range(classes)]
    true = np.arange(5 * classes) % classes
    said = np.where(true % 3 == 0, true, (true + 1) % classes)
    named = NamedNode(id=name, name=name)
    node = ExampleNode(
        role="source", node_type=name, id=name, degree=1, text={name: name}, neighbors={name: [named, named]}
    )
    bins = [Bin(low=1, high=1, rows=3), Bin(low=2, high=1e6, rows=0)]
    counts, bucket = [5] * classes, Bucket(label=name, rows=1, value=0)
    return RunReport(
        fingerprint="f",
        name=name,
        task={"type": name, "edge_type": [name, name, name], "label": name},
        strategy=name,
        phases=[name],
        seed=0,
        finished=name,
        data=Data(
            nodes={name: 3},
            edges={name: 4},
            rows={"train": 9, "test": 9},
            classes=names,
            class_counts={"train": counts, "test": counts},
            numbers={"train": NumberSpread(mean=0.0, std=1e9, min=-1e12, max=1e-9)},
        ),
        metrics={name: MetricFacts(higher_is_better=False, selects=True)},
        scores={"test": {name: Score(value=0.5, low=0.4, high=0.6), f"{name}/{name}": Score(value=None)}},
        baselines={name: {"test": {name: 0.1}}},
        protocol={name: name},
        looked_at="test",
        curves=[CurveRecord(phase=name, loss=[(1.0, 2.0), (2.0, float("nan"))], valid={name: [(1.0, 0.5)]})],
        classes=class_scores(count_classes(true, said, classes), names),
        confusion=confusion(true, said, names),
        calibration=calibration(np.linspace(0, 1, len(true)), true == said),
        residuals=Residuals(mean=0, std=1, quantiles={"50": 0.0}, points=[(0.0, 1e9), (1.0, 0.0)], bins=bins),
        ranks=Ranks(median=1.0, bins=bins),
        breakdowns=[Breakdown(by=name, of=name, measure=name, higher_is_better=True, buckets=[bucket])],
        examples=[
            Example(nodes=[node, node], text={name: name}, relation=name, true=name, predicted=name, confidence=0.9),
            Example(nodes=[node], true=name, rank=12.0, instead=[named]),
        ],
        maps=[
            EmbeddingMap(
                node_type=name, width=8, nodes=9, sampled=2, explained=(0.5, 0.1), groups=[name, name],
                points=[(0.0, 0.0, 0), (0.0, 0.0, 1)],
            )
        ],
        cost={name: Cost(seconds=1, cpu_seconds=1, peak_bytes=0, cores=2, resumed=True)},
        versions={name: name, "git_commit": None},
        command=["gsl", "run", name],
        settings={name: [name, {"a": "b\n c"}]},
        notes=[name],
        report_seconds=0.1,
    )  # fmt: skip


def test_names_and_values_cannot_become_markup() -> None:
    made = page(everything(EVIL))
    seen = assert_safe(made)
    assert "\x00" not in made
    assert "\u202e" not in made
    assert any("<script>" in text for text in seen.text), "it is shown as text"


def test_sections_without_numbers_are_absent() -> None:
    empty = RunReport(
        fingerprint="f", name="n", task={}, strategy="", phases=[], seed=0, data=Data(), settings={}, scores={}
    )
    text = page(empty)
    seen = [line.split("</h2>")[0] for line in text.split("<h2>")[1:]]
    assert seen == ["How to repeat"]
    assert page(everything("x")).count("<h2>") == 13


def test_thousands_of_classes_stay_readable() -> None:
    made = page(everything("name", classes=4000))
    assert_safe(made)
    assert len(made) < 150_000
    assert "4,000 classes occur in test" in made


def test_the_configuration_can_be_read_back() -> None:
    settings = {"name": "ü", "text": {"template": "a\n: b", "x": [1, 2.5, None, True]}}
    assert yaml.safe_load(yaml_text(settings)) == settings


@pytest.mark.parametrize("start", ["", "猫が好き ", "x" * (TEXT_CHARACTERS - 1), "👩\u200d👧" * 200])
def test_a_text_of_megabytes_is_cut(start: str) -> None:
    whole = start + " ü" * 5_000_000
    found = cut_text(pa.array([whole], pa.large_string())[0])
    assert len(found) <= TEXT_CHARACTERS + 2
    assert found.endswith(" …")
    assert whole.startswith(found[:-2])
    assert cut_text(pa.array([start[:9]], pa.large_string())[0]) == start[:9]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.69175, "0.692"), (12.3456, "12.35"), (0.00012345, "0.00012"), (0.0, "0.000"), (None, "-"), (float("nan"), "-"),
     (-56568686.6, "-5.657e+07")],
)  # fmt: skip
def test_scores_as_people_read_them(value: float | None, text: str) -> None:
    assert metric(value) == text


def test_short_numbers() -> None:
    numbers = [0.25, -12, 25_000, -5e9, 3e6, 1e13, 1e-5, 0.0]
    assert list(map(short_number, numbers)) == ["0.25", "-12", "25k", "-5G", "3M", "1e+13", "1e-05", "0"]
