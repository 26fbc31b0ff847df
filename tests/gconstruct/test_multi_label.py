"""Labels of several classes, and labels and edges with splits of their own in one graph."""

from __future__ import annotations

import pickle
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph
from gconstruct.encoding import labels as encoding
from gconstruct.encoding.labels import label_encoder
from gconstruct.problems import Problems, TableError
from graphstorm_like.config.graph import LabelConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import LabelSchema

from .splits.pieces import cut
from .tables import graph, item, link, read, write

ALL = {"train": 1.0, "valid": 0.0, "test": 0.0}
NONE = 255


def built(folder: Path, values: Any, file: str = "items.parquet", **more: Any) -> tuple[list[Any], LabelSchema]:
    """The label as it is stored, and its schema."""
    write(folder / file, id=[f"n{i}" for i in range(len(values))], y=values)
    config = {"column": "y", "kind": "classes", "split": ALL, **more}
    manifest = build_graph(graph(folder, {"item": item(files=file, labels={"y": config})}), force=True)
    table = read(folder / "out/graph/part-0/nodes/item.arrow")
    assert table.schema.field("label:y").type.value_type == pa.uint8()
    return table.column("label:y").to_pylist(), manifest.node("item").labels["y"]


def test_a_list_of_classes(tmp_path: Path) -> None:
    labels, schema = built(tmp_path, [["b", "a"], None, [], ["c", None, " b "], [""]])
    assert labels == [[1, 1, 0], [NONE] * 3, [0, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert schema == LabelSchema(
        kind="classes", classes=["a", "b", "c"], counts={"none": 0, "train": 4, "valid": 0, "test": 0}
    )


def test_integers_are_sorted_by_value(tmp_path: Path) -> None:
    assert built(tmp_path, [[10, 9], [-1]])[1].classes == ["-1", "9", "10"]


def test_integers_in_a_string_are_too(tmp_path: Path) -> None:
    labels, schema = built(tmp_path, ["10;9", "2"], separator=";")
    assert (labels, schema.classes) == ([[0, 1, 1], [1, 0, 0]], ["2", "9", "10"])


@pytest.mark.parametrize("file", ["items.parquet", "items.csv"])
def test_a_separated_string(file: str, tmp_path: Path) -> None:
    labels, schema = built(tmp_path, ["b| a", None, "b||b"], file, separator="|")
    assert (labels, schema.classes) == ([[1, 1], [NONE, NONE], [0, 1]], ["a", "b"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.lists(st.sampled_from("abcd"), max_size=3)), min_size=1, max_size=20),
    st.lists(st.integers(0, 20), max_size=3),
)
def test_pieces_have_the_columns_of_the_whole_table(values: list[Any], cuts: list[int]) -> None:
    table = pa.table({"y": pa.array(values, pa.large_list(pa.large_string()))})
    config = LabelConfig.model_validate({"column": "y", "kind": "classes", "split": ALL})
    encoder, problems = label_encoder("y", config, "graph.nodes.item"), Problems()
    statistics = [pickle.loads(pickle.dumps(encoder.fit(piece, problems))) for piece in cut(table, cuts)]
    classes = encoder.classes(reduce(encoder.merge, statistics), cut(table)[0], problems)
    names = sorted({name for value in values for name in value or ()})
    if not names:
        assert classes is None
        assert problems.messages == [
            "items.csv: column 'y' must hold at least one label (got "
            f"{len(values)} rows without). Name another column in graph.nodes.item.labels.y.column"
        ]
        return
    assert classes == names
    labels = np.concatenate([encoder.apply(piece, classes, problems) for piece in cut(table, cuts)])
    wanted = [[NONE] * len(names) if v is None else [int(name in v) for name in names] for v in values]
    assert labels.tolist() == wanted
    assert encoder.has_label(labels).tolist() == [v is not None for v in values]


def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_CLASSES", 2)
    with pytest.raises(TableError) as caught:
        built(tmp_path, [["a", "b"], ["c"]])
    assert str(caught.value) == (
        f"{tmp_path}/items.parquet: column 'y' must hold at most 2 classes (got 3): each takes a byte a row. Leave out "
        "rare ones, or make nodes and edges of them (see graph.nodes.item.labels.y)"
    )


@pytest.mark.parametrize(
    ("values", "file", "kind", "hint"),
    [
        (["a"], "items.parquet", "classes", "(got string). Set separator, e.g. separator: ';', or use kind: class"),
        (["a"], "items.csv", "classes", "(got CSV text). A CSV column holds no lists: set separator, e.g. separator"),
        ([["a"]], "items.parquet", "class", "(got list<element: string>). Use kind: classes"),
    ],
)
def test_columns_of_another_kind(values: Any, file: str, kind: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        built(tmp_path, values, file, kind=kind)
    assert hint in str(caught.value)


def test_nodes_that_edges_add_have_no_label(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"], y=[["x"], ["y"]])
    write(tmp_path / "links.parquet", source=["a", "c"], target=["b", "a"])
    labels = {"y": {"column": "y", "kind": "classes", "split": ALL}}
    config = graph(tmp_path, {"item": item(labels=labels)}, [link(on_unknown_node="create")])
    build_graph(config)
    nodes = read(tmp_path / "out/graph/part-0/nodes/item.arrow")
    assert nodes.column("label:y").to_pylist() == [[1, 0], [0, 1], [NONE, NONE]]
    assert nodes.column("split:y").to_pylist() == [1, 1, 0]
    stored = LocalGraph(tmp_path / "out/graph").label("item", "y")
    assert stored.tolist() == [[1, 0], [0, 1], [NONE, NONE]]


def test_partitions_keep_them(tmp_path: Path) -> None:
    values = [["x"], ["y", "x"], None, [], ["y"], ["x"]]
    write(tmp_path / "items.parquet", id=list("abcdef"), y=values)
    write(tmp_path / "links.parquet", source=list("abcdef"), target=list("bcdefa"))
    labels = {"y": {"column": "y", "kind": "classes", "split": ALL}}
    config = graph(tmp_path, {"item": item(labels=labels)}, [link()])
    build_graph(config.model_copy(update={"partitions": type(config.partitions)(count=2)}))
    opened = LocalGraph(tmp_path / "out/graph")
    by_id = dict(zip(opened.ids("item").to_pylist(), opened.label("item", "y").tolist(), strict=True))
    assert by_id == {"a": [1, 0], "b": [1, 1], "c": [NONE] * 2, "d": [0, 0], "e": [0, 1], "f": [1, 0]}


def test_every_label_and_the_edges_have_a_split_of_their_own(tmp_path: Path) -> None:
    """Four tasks in one graph: two on nodes, one on edges, one on links; unlabelled rows are in no split of theirs."""
    ids = [f"n{i}" for i in range(60)]
    kinds = [None if i % 5 == 0 else f"k{i % 2}" for i in range(60)]
    written = [["train", "valid", "test"][i % 3] for i in range(60)]
    write(tmp_path / "items.parquet", id=ids, kind=kinds, price=[float(i) for i in range(60)], part=written)
    days = [f"2024-01-{i % 30 + 1:02d}" for i in range(60)]
    stars = [None if i % 2 else i % 3 for i in range(60)]
    write(tmp_path / "links.parquet", source=ids, target=ids[1:] + ids[:1], stars=stars, day=days)
    labels: dict[str, Any] = {
        "kind": {"column": "kind", "split": {"folds": 3, "stratify": True}},
        "price": {"column": "price", "kind": "number", "split": {"column": "part"}},
    }
    in_time = {"column": "day", "valid_from": "2024-01-11", "test_from": "2024-01-21"}
    drawn = {"train": 0.5, "valid": 0.25, "test": 0.25}
    edges = [link(split=in_time, labels={"stars": {"column": "stars", "split": drawn}})]
    manifest = build_graph(graph(tmp_path, {"item": item(labels=labels)}, edges))
    node, edge = manifest.node("item"), manifest.edges[0]
    assert node.labels["kind"].counts == {"none": 0, "train": 16, "valid": 16, "test": 16}
    assert node.labels["price"].counts == {"none": 0, "train": 20, "valid": 20, "test": 20}
    assert edge.split_counts == {"none": 0, "train": 20, "valid": 20, "test": 20}
    assert sum(edge.labels["stars"].counts.values()) == 30
    stored = LocalGraph(tmp_path / "out/graph")
    for split in ("train", "valid", "test"):
        rows = stored.label_rows("item", "price", split)
        assert {written[i] for i in rows} == {split}
        labelled = stored.edge_label_rows(("item", "link", "item"), "stars", split)
        assert (stored.edge_label(("item", "link", "item"), "stars")[labelled] >= 0).all()
        source, _ = stored.edges(("item", "link", "item"), stored.edge_rows(("item", "link", "item"), split))
        assert len({(int(i) % 30) // 10 for i in source}) == 1
