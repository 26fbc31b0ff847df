"""Roles of columns from their facts."""

from __future__ import annotations

from typing import Any

import pytest

from gconstruct.guess.facts import ColumnFacts
from gconstruct.guess.roles import is_split, label_kind, label_rank, role_of


def facts(kind: str, **more: Any) -> ColumnFacts:
    usual: dict[str, Any] = {"rows": 1000, "sample_rows": 1000, "sample_distinct": 500, "distinct": 500}
    return ColumnFacts("c", kind, **{**usual, **more})


FEW = {"distinct": 8, "sample_distinct": 8, "length": 6.0, "words": 1.0}


@pytest.mark.parametrize(
    ("column", "kind", "settings"),
    [
        (facts("string", **FEW), "feature", {"encode": "one_hot"}),
        (facts("string", distinct=400, sample_distinct=400, length=6.0, words=1.0), "many", None),
        (facts("string", length=80.0, words=14.0), "text", None),
        (facts("string", distinct=1000, sample_distinct=1000, length=8.0, words=1.0), "none", None),
        (facts("string", separator="|", item_count=5), "feature", {"encode": "multi_hot", "separator": "|"}),
        (facts("float", low=0.0, high=1.0, median=0.4, mean=0.5), "feature", {}),
        (facts("float", low=-1.0, high=9.0, median=0.4, mean=0.5, nulls=3), "feature", {"missing": "mean"}),
        (facts("float", low=0.0, high=1e6, median=10.0, mean=900.0), "feature", {"log1p": True}),
        (facts("float", low=0.0, high=1.0, median=0.4, mean=0.5, whole=False), "feature", {"missing": "mean"}),
        (facts("integer", distinct=1, sample_distinct=1, low=3.0, high=3.0), "none", None),
        (facts("list of float", width=16), "feature", {"normalize": "none"}),
        (facts("list of float"), "none", None),
        (facts("list of string", item_count=9), "feature", {"encode": "multi_hot"}),
        (facts("string", binary=True), "none", None),
        (facts("other"), "none", None),
        (facts("time"), "feature", {"encode": "date"}),
        (facts("time", nulls=1), "feature", {"encode": "date", "missing": "zero"}),
        (facts("string", width=3, separator=";"), "feature", {"separator": ";", "normalize": "none"}),
        (facts("string", nulls=1000, sample_rows=0), "none", None),
    ],
)  # fmt: skip
def test_roles(column: ColumnFacts, kind: str, settings: dict[str, Any] | None) -> None:
    role = role_of(column)
    assert (role.kind, role.settings) == (kind, settings)
    assert role.why


def test_ids_are_no_features() -> None:
    serial = ColumnFacts(
        "order_id", "integer", rows=100, sample_rows=100, distinct=100, sample_distinct=100, low=1.0, high=100.0
    )
    assert role_of(serial).kind == "none"
    assert label_kind(serial) is None


def test_splits() -> None:
    assert is_split(facts("string", values=("test", "train", "valid")))
    assert role_of(facts("string", values=("Train", "val"))).kind == "split"
    assert not is_split(facts("string", values=("train",)))
    assert not is_split(facts("string", values=("plane", "train")))


def test_labels() -> None:
    assert label_kind(facts("string", **FEW)) == "class"
    assert label_kind(facts("string", distinct=900)) is None
    assert label_kind(facts("integer", distinct=3)) == "class"
    assert label_kind(facts("integer", distinct=300)) == "number"
    assert label_kind(facts("float")) == "number"
    assert label_kind(facts("list of string")) is None
    first, second = label_rank("item_label"), label_rank("category")
    assert first is not None
    assert second is not None
    assert first < second
    assert label_rank("colour") is None
