"""What was fitted to split a graph splits new rows alike: graph.like and graph.add_to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import read_manifest

from ..tables import graph, item, link, read, write

STRATIFIED = {"train": 0.5, "valid": 0.25, "test": 0.25, "stratify": True}
IN_TIME = {"by": "time", "column": "day", "train": 0.5, "valid": 0.25, "test": 0.25}


def shop(folder: Path, ids: range, split: dict[str, Any], of_edges: dict[str, Any], **more: Any) -> GraphConfig:
    """Nodes with a day each, and an edge from each to itself."""
    folder.mkdir(exist_ok=True)
    names = [f"n{i}" for i in ids]
    write(folder / "items.parquet", id=names, y=[f"c{i % 2}" for i in ids], day=list(ids))
    write(folder / "links.parquet", source=names, target=names, day=list(ids))
    labels = {"y": {"column": "y", "split": split}}
    return graph(folder, {"item": item(labels=labels)}, [link(split=of_edges)]).model_copy(update=more)


def splits(folder: Path) -> dict[str, int]:
    table = read(folder / "out/graph/part-0/nodes/item.arrow")
    return dict(zip(table.column("id").to_pylist(), table.column("split:y").to_pylist(), strict=True))


@pytest.mark.parametrize("split", [STRATIFIED, IN_TIME, {"folds": 4, "stratify": True}])
def test_new_tables_are_split_like_the_old_ones(split: dict[str, Any], tmp_path: Path) -> None:
    build_graph(shop(tmp_path / "old", range(80), split, IN_TIME))
    old = splits(tmp_path / "old")
    manifest = read_manifest(tmp_path / "old/out/graph")
    by = "random" if split is STRATIFIED else split.get("by", "folds")
    assert manifest.nodes["item"].labels["y"].fitted_split["by"] == by
    assert manifest.edges[0].fitted_split == {
        "by": "time",
        "options": {"column": "day", "valid_from": None, "test_from": None, "train": 0.5, "valid": 0.25, "test": 0.25},
        "valid_from": 40,
        "test_from": 60,
    }
    like = shop(tmp_path / "new", range(30, 110), split, IN_TIME, like=str(tmp_path / "old/out/graph"))
    build_graph(like)
    new = splits(tmp_path / "new")
    assert {name: new[name] for name in new if name in old} == {name: old[name] for name in new if name in old}
    if split is IN_TIME:
        assert {new[f"n{i}"] for i in range(60, 110)} == {3}
    added = shop(tmp_path / "more", range(80, 120), split, IN_TIME, add_to=str(tmp_path / "old/out/graph"))
    build_graph(added)
    both = splits(tmp_path / "more")
    assert {name: both[name] for name in old} == old
    assert {name: both[name] for name in new if name in both} == {name: new[name] for name in new if name in both}
    edges = read(tmp_path / "more/out/graph/part-0/edges/item--link--item.arrow")
    assert edges.column("split").to_pylist() == [1] * 40 + [2] * 20 + [3] * 60


def test_splits_that_depend_on_each_row_alone_need_nothing(tmp_path: Path) -> None:
    points = {"column": "day", "valid_from": 40, "test_from": 60}
    build_graph(shop(tmp_path / "old", range(80), {"folds": 4}, points))
    assert read_manifest(tmp_path / "old/out/graph").edges[0].fitted_split == {}
    build_graph(shop(tmp_path / "new", range(80), {"folds": 4}, points, like=str(tmp_path / "old/out/graph")))
    assert splits(tmp_path / "new") == splits(tmp_path / "old")


def test_a_split_that_was_not_fitted_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "old/out/graph"
    build_graph(shop(tmp_path / "old", range(80), {"folds": 4}, {"train": 0.5, "valid": 0.25, "test": 0.25}))
    with pytest.raises(DataError) as caught:
        build_graph(shop(tmp_path / "new", range(80), STRATIFIED, IN_TIME, like=str(old)))
    assert str(caught.value).splitlines()[1:] == [
        f"graph.nodes.item.labels.y.split: must depend on each row alone, or be fitted already (got by: random, which "
        f"is not), as in {old}. Change it, or leave out graph.like",
        f"graph.edges[0].split: must depend on each row alone, or be fitted already (got by: time, which is not), as "
        f"in {old}. Change it, or leave out graph.like",
    ]


@pytest.mark.parametrize("how", ["like", "add_to"])
@pytest.mark.parametrize(
    ("split", "changes", "told"),
    [
        (STRATIFIED, {"train": 0.25, "seed": 3}, ["train: must be 0.5 (got 0.25)", "seed: must be 0 (got 3)"]),
        ({"folds": 5, "stratify": True}, {"folds": 3, "fold": 1}, ["folds: must be 5 (got 3)"]),
        (IN_TIME, {"column": "y", "train": 0.25, "test": 0.5}, [
            "column: must be 'day' (got 'y')", "train: must be 0.5 (got 0.25)", "test: must be 0.25 (got 0.5)",
        ]),
    ],
)  # fmt: skip
def test_other_options_than_those_of_the_fit_are_refused(
    split: dict[str, Any], changes: dict[str, Any], told: list[str], how: str, tmp_path: Path
) -> None:
    build_graph(shop(tmp_path / "old", range(80), split, IN_TIME))
    old = tmp_path / "old/out/graph"
    with pytest.raises(DataError) as caught:
        build_graph(shop(tmp_path / "new", range(80, 90), {**split, **changes}, IN_TIME, **{how: str(old)}))
    assert [line for line in str(caught.value).splitlines() if line.startswith("graph.")] == [
        f"graph.nodes.item.labels.y.split.{one}, as in {old}. Change it, or leave out graph.{how}" for one in told
    ]


def test_another_fold_of_the_same_folds(tmp_path: Path) -> None:
    """The rows of fold 1, that were for validation, are for the test."""
    folds = {"folds": 4, "stratify": True}
    build_graph(shop(tmp_path / "old", range(80), folds, IN_TIME))
    old = str(tmp_path / "old/out/graph")
    first = build_graph(shop(tmp_path / "new", range(80), {**folds, "fold": 1}, IN_TIME, like=old))
    before, after = splits(tmp_path / "old"), splits(tmp_path / "new")
    assert {name for name, split in before.items() if split == 2} == {n for n, split in after.items() if split == 3}
    assert first.nodes["item"].labels["y"].fitted_split == read_manifest(old).nodes["item"].labels["y"].fitted_split
