"""Known answers: what the report says of small graphs, and that blocks, samples and partitions change nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gconstruct.opened import OpenFiles
from gconstruct.report import degrees, lengths, numbers, rows
from gconstruct.report.degrees import DegreeCounter
from gconstruct.report.features import features
from gconstruct.report.labels import label_profile
from gconstruct.report.lengths import text_profile
from gconstruct.report.numbers import Moments, feature_profile, histogram
from gconstruct.report.rows import Pieces, rows_in, sample_runs
from gconstruct.report.sparse import sparse_profile
from graphstorm_like.graph.bfloat16 import to_bits
from graphstorm_like.graph.schema import NO_CLASSES, FeatureSchema, LabelSchema
from graphstorm_like.graph.sparse import column_of, of_cells

from ..tables import graph, item, link, write
from .graphs import config, report_of


def test_counts_of_a_small_graph(tmp_path: Path) -> None:
    report = report_of(config(tmp_path))
    items, links = report.nodes["item"], report.edges["item:link:item"]
    assert (items.count, items.id_type, items.isolated, items.from_edges) == (6, "string", 3, 0)
    assert (links.count, links.repeated, links.loops, links.reverse) == (5, 1, 2, "item:link_rev:item")
    assert list(report.edges) == ["item:link:item"]
    assert report.dropped == {
        "nodes.item: null id": 1,
        "nodes.item: repeated id": 1,
        "edges.item:link:item: null end": 1,
        "edges.item:link:item: unknown node": 1,
        "nodes.item.labels.colour: split without a label": 1,
    }


def test_degrees_of_a_small_graph(tmp_path: Path) -> None:
    links = report_of(config(tmp_path)).edges["item:link:item"]
    out, into = links.out_degrees, links.in_degrees
    assert (out.nodes, out.without, out.mean, out.median, out.p99, out.max) == (6, 3, 5 / 6, 0, 3, 3)
    assert [(b.low, b.high, b.nodes) for b in out.bins] == [(0, 0, 3), (1, 1, 2), (2, 3, 1)]
    assert [(hub.id, hub.degree) for hub in out.hubs] == [("a", 3), ("b", 1), ("c", 1)]
    assert [(hub.id, hub.degree) for hub in into.hubs] == [("b", 3), ("c", 2)]
    assert [(b.low, b.high, b.nodes) for b in into.bins] == [(0, 0, 4), (1, 1, 0), (2, 3, 2)]


def test_features_of_a_small_graph(tmp_path: Path) -> None:
    features = report_of(config(tmp_path)).nodes["item"].features
    price = features["price"].numbers
    stored = np.array([1.0, 2.0, 0.0, 4.0, 5.0, 6.0])
    assert (price.min, price.max, price.mean, price.zeros) == (0, 6, 3, 1 / 6)
    assert price.std == pytest.approx(stored.std())
    assert features["same"].constant == 1
    kind = features["kind"]
    assert (kind.width, kind.categories, kind.encode) == (3, ["x", "y", "z"], "one_hot")
    assert kind.dimensions is not None
    assert kind.dimensions.mean == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_texts_of_a_small_graph(tmp_path: Path) -> None:
    title = report_of(config(tmp_path)).nodes["item"].text["title"]
    assert (title.rows, title.nulls, title.empty, title.present, title.distinct) == (6, 1, 1, 5, 4)
    assert (title.bytes, title.longest_bytes) == (5 + 0 + 5 + 5 + 7, 7)
    assert title.characters is not None
    assert title.words is not None
    assert (title.characters.min, title.characters.max, title.characters.mean) == (0, 7, 20 / 5)
    assert (title.words.min, title.words.median, title.words.max) == (0, 2, 4)


def test_labels_of_a_small_graph(tmp_path: Path) -> None:
    colour = report_of(config(tmp_path)).nodes["item"].labels["colour"]
    assert (colour.rows, colour.labelled, colour.classes) == (6, 5, ["blue", "red"])
    assert colour.splits == {"none": 0, "train": 3, "valid": 1, "test": 1}
    assert colour.class_counts == {"none": [0, 0], "train": [0, 3], "valid": [1, 0], "test": [1, 0]}


def test_labels_that_are_numbers(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=list(range(4)), y=[1.0, 3.0, None, 8.0], s=["train", "train", "train", "test"])
    label = {"column": "y", "kind": "number", "split": {"column": "s"}}
    y = report_of(graph(tmp_path, {"item": item(labels={"y": label})})).nodes["item"].labels["y"]
    assert y.splits == {"none": 0, "train": 2, "valid": 0, "test": 1}
    assert (y.labelled, y.numbers["train"].mean, y.numbers["train"].std, y.numbers["test"].max) == (3, 2, 1, 8)


def test_labels_of_several_classes() -> None:
    none, splits = NO_CLASSES, pa.array([1, 1, 2, 3, 0], pa.uint8())
    table = np.array([[1, 1], [0, 1], [0, 0], [none, none], [1, 0]], np.uint8)
    column = pa.FixedSizeListArray.from_arrays(pa.array(table.ravel()), 2)
    schema = LabelSchema(kind="classes", classes=["a", "b"])
    values, of_split = Pieces([column.slice(0, 3), column.slice(3)]), Pieces([splits.slice(0, 3), splits.slice(3)])
    made = label_profile(values, of_split, schema)
    assert (made.labelled, made.splits) == (4, {"none": 1, "train": 2, "valid": 1, "test": 0})
    assert made.class_counts == {"none": [1, 0], "train": [1, 2], "valid": [0, 0], "test": [0, 0]}


def test_nodes_that_only_edges_name(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"])
    write(tmp_path / "links.parquet", source=["a", "x"], target=["h1", "h2"])
    edges = [link(target="host", on_unknown_node="create", reverse=False)]
    report = report_of(graph(tmp_path, {"item": item(), "host": {}}, edges))
    assert (report.nodes["item"].from_edges, report.nodes["host"].from_edges) == (1, 2)
    assert (report.nodes["item"].isolated, report.nodes["host"].isolated) == (1, 0)
    out = report.edges["item:link:host"].out_degrees
    assert (out.nodes, out.without, [hub.id for hub in out.hubs]) == (3, 1, ["a", "x"])


def test_partitions_give_the_same_profile(tmp_path: Path) -> None:
    whole = report_of(config(tmp_path))
    parts = report_of(config(tmp_path, partitions={"count": 3}))
    assert sorted(sum(part.nodes.values()) for part in parts.partitions) == [2, 2, 2]
    assert sum(sum(part.edges.values()) for part in parts.partitions) == 10
    local = sum(part.local["item:link:item"] for part in parts.partitions)
    assert 2 <= local <= 5, "loops are local"
    mine, theirs = (r.edges["item:link:item"].model_dump(exclude={"out_degrees", "in_degrees"}) for r in (whole, parts))
    assert mine == theirs
    assert whole.edges["item:link:item"].out_degrees.bins == parts.edges["item:link:item"].out_degrees.bins
    for name, feature in whole.nodes["item"].features.items():
        same = parts.nodes["item"].features[name]
        assert same.numbers.model_dump() == pytest.approx(feature.numbers.model_dump())
    assert whole.nodes["item"].labels == parts.nodes["item"].labels
    assert whole.nodes["item"].text == parts.nodes["item"].text


FLOATS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40)


@given(values=FLOATS, width=st.integers(1, 3), cut=st.integers(1, 7))
def test_moments_in_blocks_are_those_of_all(values: list[float], width: int, cut: int) -> None:
    table = np.array(values * width, np.float64).reshape(-1, width).T
    moments = Moments(width)
    for start in range(0, table.shape[1], cut):
        moments.add(np.ascontiguousarray(table[:, start : start + cut]))
    each, together = moments.dimensions(), moments.together()
    scale = max(1.0, float(np.abs(table).max()))
    assert each.min == table.min(axis=1).tolist()
    assert each.max == table.max(axis=1).tolist()
    assert each.mean == pytest.approx(table.mean(axis=1).tolist(), abs=1e-9 * scale)
    assert each.std == pytest.approx(table.std(axis=1).tolist(), abs=1e-6 * scale)
    assert together.mean == pytest.approx(table.mean(), abs=1e-9 * scale)
    assert together.std == pytest.approx(table.std(), abs=1e-6 * scale)
    assert together.zeros == pytest.approx((table == 0).mean())


def test_numbers_that_are_not_finite_are_counted_and_left_out() -> None:
    moments = Moments(2)
    moments.add(np.array([[np.nan, 1.0, 3.0], [np.inf, -np.inf, np.nan]]))
    each, together = moments.dimensions(), moments.together()
    assert (each.min, each.max, each.mean) == ([1, None], [3, None], [2, None])
    assert (together.not_finite, together.min, together.max, together.mean, together.std) == (4, 1, 3, 2, 1)


def test_every_stored_type_of_numbers() -> None:
    values = np.array([[0.5], [2.0], [-1.0]], np.float32)
    stored = {"float32": values, "float16": values.astype(np.float16), "bfloat16": to_bits(values)}
    for dtype, column in stored.items():
        flat = pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), 1)
        schema = FeatureSchema.model_validate({"width": 1, "dtype": dtype})
        profile = feature_profile(Pieces([flat.slice(0, 1), flat.slice(1)]), schema, 1.0)
        assert (profile.numbers.min, profile.numbers.max, profile.numbers.mean, profile.median) == (-1, 2, 0.5, 0.5)


@given(st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=300))
def test_a_histogram_counts_every_number_once(values: list[float]) -> None:
    made = histogram(np.array(values))
    assert made is not None
    assert sum(made.counts) == len(values)
    assert made.below == sum(v < made.low for v in values)
    assert made.above == sum(v > made.high for v in values)


def test_whole_numbers_have_a_bin_each_and_outliers_do_not_hide_the_rest() -> None:
    whole = histogram(np.array([1.0, 2.0, 2.0, 4.0]))
    assert whole is not None
    assert (whole.low, whole.high, whole.counts) == (0.5, 4.5, [1, 2, 0, 1])
    far = histogram(np.concatenate([np.linspace(0, 1, 999), [1e9]]))
    assert far is not None
    assert far.high < 1.1
    assert far.above >= 1


@given(st.lists(st.integers(0, 40) | st.sampled_from([4095, 4096, 5000, 70_000]), min_size=1, max_size=60))
def test_degrees_in_blocks(values: list[int]) -> None:
    counter, all_degrees = DegreeCounter(), np.array(values, np.int64)
    for start in range(0, len(values), 7):
        counter.add(all_degrees[start : start + 7])
    made = counter.result("item", Pieces([pa.array(range(len(values)))]))
    assert (made.nodes, made.max, made.without) == (len(values), max(values), values.count(0))
    assert [b.nodes for b in made.bins] == [sum(b.low <= v <= b.high for v in values) for b in made.bins]
    assert sum(b.nodes for b in made.bins) == len(values)
    expected = int(np.quantile(all_degrees, 0.5, method="inverted_cdf"))
    assert made.median == (expected if expected < degrees.SMALL else 1 << (expected.bit_length() - 1))
    assert [hub.degree for hub in made.hubs] == sorted((v for v in values if v), reverse=True)[: degrees.HUBS]
    assert all(values[int(hub.id)] == hub.degree for hub in made.hubs)


@given(st.integers(0, 5_000), st.integers(1, 5_000))
def test_samples_are_spread_over_all_rows(num_rows: int, wanted: int) -> None:
    runs = sample_runs(num_rows, wanted)
    assert rows_in(runs) <= max(num_rows, 0)
    assert rows_in(runs) > min(num_rows, wanted) - rows.RUNS
    assert all(0 <= start <= stop <= num_rows for start, stop in runs)
    assert all(one[1] <= other[0] for one, other in pairwise(runs))


def test_large_tables_are_sampled_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SEEN_VALUES", 4_000)
    monkeypatch.setattr(numbers, "MIN_SEEN", 1_000)
    monkeypatch.setattr(lengths, "SAMPLE", 500)
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(20_000, dtype=np.float32)), 1)
    profile = feature_profile(Pieces([column]), FeatureSchema(width=1), 1.0)
    assert 3_000 < profile.rows_seen <= 4_000
    assert profile.numbers.mean == pytest.approx(10_000, rel=0.05)
    text = text_profile(Pieces([pa.array([f"{i}" for i in range(20_000)], pa.large_string())]))
    assert (text.rows, text.rows_seen < 600, text.bytes) == (20_000, True, sum(len(f"{i}") for i in range(20_000)))


def test_blocks_are_bounded() -> None:
    column = Pieces([pa.array(range(10)), pa.array(range(10, 14))])
    pieces = list(column.slices([(2, 5), (8, 13)], 2))
    assert [piece.to_pylist() for piece in pieces] == [[2, 3], [4], [8, 9], [10, 11], [12]]
    assert column.take([13, 0, 10]) == [13, 0, 10]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_a_wide_feature_is_summarised(sparse: bool, named: bool) -> None:
    """16,384 numbers a row: 64 of them, of categories the most frequent, and how all are spread."""
    width, count = 16_384, 40
    values = np.zeros((count, width), dtype=np.float32)
    values[:, 9_000] = 1
    values[: count // 2, 12_345] = 1
    names = [f"category number {i}" for i in range(width)]
    fitted = {"encode": "multi_hot", "categories": names} if named else {}
    schema = FeatureSchema(width=width, dtype="float32", sparse=sparse, fitted=fitted)
    made: pa.Array = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width)
    if sparse:
        cells = np.flatnonzero(values)
        made = column_of(of_cells(cells, values.ravel()[cells], values.shape), "float32")
    column = Pieces([made], OpenFiles())
    profile = sparse_profile(column, schema, [(0, count)]) if sparse else feature_profile(column, schema, 1.0)
    assert profile.dimensions is not None
    dimensions = profile.dimensions
    assert len(dimensions.mean) == len(dimensions.at or []) == 64
    assert (dimensions.spread["mean"].max, dimensions.spread["mean"].median) == (1.0, 0.0)
    if named:
        assert (profile.categories or [])[:2] == ["category number 9000", "category number 12345"]
        assert dimensions.mean[:3] == [1.0, 0.5, 0.0]
    else:
        assert dimensions.at == list(range(64))
    assert len(profile.model_dump_json(indent=1)) < 20_000
    assert "16,376 more columns" in features({"words": profile}) or not named
