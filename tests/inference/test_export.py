"""Exports: every node once under its own id, numbers equal to the model's, manifest true, old results kept on error."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.files import file_hash
from graphstorm_like.inference.export import export
from graphstorm_like.inference.writers import ResultFolder, list_column, shards
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import EdgeLabelTask, LinkPrediction, NodeClassification, NodeLabelTask
from graphstorm_like.training.experiment import build_experiment

QUIET = Reporter(quiet=True)


def read(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(p) for p in sorted(folder.glob("*.parquet")))


def by_class(table: pa.Table, classes: Sequence[str]) -> np.ndarray:
    """[n, C]: the columns of `probabilities`, under the names of the classes."""
    flat = table.flatten()
    assert [name for name in flat.column_names if "." in name] == [f"probabilities.{name}" for name in classes]
    return np.stack([flat[f"probabilities.{name}"].to_numpy() for name in classes], axis=1)


@pytest.mark.parametrize("mode", ["layer_wise", "mini_batch"])
def test_classes_and_embeddings(shop_config: Callable[..., Pipeline], tmp_path: Path, mode: str) -> None:
    config = shop_config(infer={"mode": mode, "embeddings": ["item", "user"], "shard_rows": 100})
    experiment = build_experiment(config, QUIET)
    manifest = export(experiment, tmp_path / "out", "model-id", experiment.embedder(), QUIET)
    graph, task = experiment.graph, experiment.task
    assert isinstance(task, NodeClassification)
    for node_type in ("item", "user"):
        table = read(tmp_path / "out" / "embeddings" / node_type)
        assert table["id"].to_pylist() == graph.ids(node_type).to_pylist()
        assert pa.types.is_fixed_size_list(table.schema.field("embedding").type)
        assert table.schema.field("embedding").type.list_size == 16
    items = read(tmp_path / "out" / "embeddings" / "item")
    vectors = np.stack(items["embedding"].to_numpy())
    if mode == "layer_wise":
        np.testing.assert_allclose(vectors, experiment.embedder().layer_wise(["item"])["item"], atol=1e-6)
    found = read(tmp_path / "out" / "predictions")
    probabilities = by_class(found, task.classes)
    np.testing.assert_allclose(probabilities, task.probabilities(vectors), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert found["prediction"].to_pylist() == [task.classes[i] for i in probabilities.argmax(1)]
    assert found["label"].to_pylist() == [task.classes[i] for i in graph.label("item", "kind")]
    splits = found["split"].to_pylist()
    assert [i for i, s in enumerate(splits) if s == "test"] == graph.label_rows("item", "kind", "test").tolist()
    assert manifest["classes"] == task.classes
    assert manifest["tables"]["predictions"]["rows"] == len(found) == 240
    on_disk = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert on_disk == manifest
    listed = [s for t in manifest["tables"].values() for s in t["shards"]]
    assert len(listed) == 3 + 3 + 1
    assert all(file_hash(tmp_path / "out" / s["file"]) == s["blake2b"] for s in listed)


@pytest.mark.parametrize("search", ["exact", "hnsw"])
def test_links_are_new_and_ordered(search: str, shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    infer = {"top_k": 7, "shard_rows": 300, "search": {"type": search}}
    experiment = build_experiment(shop_config("link_prediction", infer=infer), QUIET)
    manifest = export(experiment, tmp_path / "out", "id", experiment.embedder(), QUIET)
    assert ("approximate" in manifest) == (search != "exact")
    if search != "exact":
        assert manifest["approximate"]["recall"] > 0.99
        assert manifest["approximate"]["sources_measured"] == 200
    table = read(tmp_path / "out" / "predictions")
    graph, task = experiment.graph, experiment.task
    assert isinstance(task, LinkPrediction)
    ids = graph.ids("item").to_pylist()
    assert table["source"].to_pylist() == [i for i in ids for _ in range(7)]
    assert table["rank"].to_pylist() == list(range(1, 8)) * len(ids)
    scores = table["score"].to_numpy().reshape(-1, 7)
    assert (np.diff(scores, axis=1) <= 0).all()
    source, target = graph.edges(task.edge_type)
    known = {(ids[s], ids[t]) for s, t in zip(source, target)}
    offered = set(zip(table["source"].to_pylist(), table["target"].to_pylist()))
    assert len(offered) == 7 * len(ids)
    assert not offered & known
    assert all(s != t for s, t in offered)
    # The best by brute force, for one source.
    vectors = experiment.embedder().layer_wise(["item"])["item"]
    all_scores = (task.queries(vectors[:1]) @ task.keys(vectors).T)[0].numpy()
    order = [i for i in np.argsort(-all_scores, kind="stable") if i != 0 and (ids[0], ids[i]) not in known]
    np.testing.assert_allclose(scores[0], all_scores[order[:7]], atol=1e-6)


def test_numbers_of_nodes(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    experiment = build_experiment(shop_config("node_regression", infer={"shard_rows": 100}), QUIET)
    manifest = export(experiment, tmp_path / "out", "id", experiment.embedder(), QUIET)
    graph, task = experiment.graph, experiment.task
    assert isinstance(task, NodeLabelTask)
    table = read(tmp_path / "out" / "predictions")
    assert table.column_names == ["id", "prediction", "label", "split"]
    assert table["id"].to_pylist() == graph.ids("item").to_pylist()
    vectors = experiment.embedder().layer_wise(["item"])["item"]
    np.testing.assert_allclose(table["prediction"].to_numpy(), task.predict(vectors), rtol=1e-5)
    assert abs(table["prediction"].to_numpy().mean() - 120) < 60  # in the label's units, untrained as it is
    labels, splits = table["label"].to_pylist(), table["split"].to_pylist()
    assert labels == [None if np.isnan(v) else v for v in graph.label("item", "rating").tolist()]
    assert all((split == "none") == (label is None) for label, split in zip(labels, splits))
    assert [i for i, s in enumerate(splits) if s == "valid"] == task.rows("valid").tolist()
    assert "classes" not in manifest


@pytest.mark.parametrize("mode", ["layer_wise", "mini_batch"])
@pytest.mark.parametrize("kind", ["edge_classification", "edge_regression"])
def test_labels_of_edges(
    shop_config: Callable[..., Pipeline], shop: tuple[Path, Path], tmp_path: Path, kind: str, mode: str
) -> None:
    config = shop_config(kind, infer={"shard_rows": 300, "mode": mode}, train={"fanouts": [-1, -1]})
    experiment = build_experiment(config, QUIET)
    manifest = export(experiment, tmp_path / "out", "id", experiment.embedder(), QUIET)
    task = experiment.task
    assert isinstance(task, EdgeLabelTask)
    found = read(tmp_path / "out" / "predictions")
    classes = ["probability", "probabilities"] if kind == "edge_classification" else []
    assert found.column_names == ["source", "target", "parallel", "prediction", *classes, "label", "split"]
    # Every edge of the table once, under its own ids, with its own label and split.
    table = pq.read_table(shop[0] / "similar.parquet").to_pydict()
    values = table["trend"] if classes else [None if v is None else np.float32(v) for v in table["gap"]]
    splits = ["none" if v is None else s for v, s in zip(values, table["split"])]
    rows = found.to_pydict()
    given = zip(rows["source"], rows["target"], rows["label"], rows["split"], strict=True)
    assert sorted(given) == sorted(zip(table["source"], table["target"], values, splits, strict=True))
    # Predictions go with the ids of both ends.
    number = {name: i for i, name in enumerate(experiment.graph.ids("item").to_pylist())}
    source, target = (np.array([number[i] for i in rows[end]]) for end in ("source", "target"))
    wanted = task.predict(experiment.embedder().layer_wise(["item"]), source, target, np.arange(len(source)))
    if classes:
        probabilities = by_class(found, ["down", "up"])
        np.testing.assert_allclose(probabilities, wanted, atol=1e-4)
        assert rows["prediction"] == [("down", "up")[i] for i in probabilities.argmax(1)]
        np.testing.assert_allclose(rows["probability"], wanted.max(1), atol=1e-4)
        assert manifest["classes"] == ["down", "up"]
    else:
        np.testing.assert_allclose(rows["prediction"], wanted, atol=1e-4)
    assert wanted.std() > 1e-3
    assert set(manifest["tables"]) == {"embeddings/item", "predictions"}


def test_old_results_survive_an_error(tmp_path: Path) -> None:
    target = tmp_path / "infer"
    with ResultFolder(target) as folder:
        folder.write("t", [pa.table({"id": [1]})])
        folder.finish({})

    def fail() -> None:
        with ResultFolder(target) as folder:
            folder.write("t", [pa.table({"id": [2]})])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert pq.read_table(target / "t" / "part-00000.parquet")["id"].to_pylist() == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["infer"]


def test_list_column_and_shards() -> None:
    column = list_column(np.arange(6).reshape(3, 2), "float16")
    assert column.to_pylist() == [[0, 1], [2, 3], [4, 5]]
    assert [(s.start, s.stop) for s in shards(10, 15, 2)] == [(10, 12), (12, 14), (14, 15)]
    assert [(s.start, s.stop) for s in shards(7, 7, 2)] == [(7, 7)]


def test_sources_with_few_free_targets_get_fewer_rows(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    experiment = build_experiment(shop_config("link_prediction", infer={"top_k": 1000}), QUIET)
    export(experiment, tmp_path / "out", "id", experiment.embedder(), QUIET)
    table, task = read(tmp_path / "out" / "predictions"), experiment.task
    assert isinstance(task, LinkPrediction)
    source, target = experiment.graph.edges(task.edge_type)
    pairs = len(set(zip(source.tolist(), target.tolist())))
    assert len(table) == 240 * 240 - 240 - pairs
    assert np.isfinite(table["score"].to_numpy()).all()


HEADS = [
    {"type": "dot"},
    {"type": "dot", "normalize": False},
    {"type": "dot", "directed": True},
    {"type": "dot", "directed": True, "normalize": False},
    {"type": "distmult"},
]


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_nearest_neighbours_of_exported_vectors_are_the_predictions(
    shop_config: Callable[..., Pipeline], tmp_path: Path, head: dict[str, object]
) -> None:
    """With the vectors that the manifest says, compared as it says."""
    infer = {"top_k": 5, "known_pairs": "list", "shard_rows": 100}
    config = shop_config("link_prediction", task={"head": head, "ranking": {"exclude_source": False}}, infer=infer)
    experiment = build_experiment(config, QUIET)
    if head["type"] == "distmult":  # at their start the weights are 1, and change nothing
        torch.nn.init.normal_(experiment.task.get_parameter("head.relations"))
    manifest = export(experiment, tmp_path / "out", "id", experiment.embedder(), QUIET)
    search = manifest["search"]
    source, target = (read(tmp_path / "out" / search[end]) for end in ("source", "target"))
    queries, keys = (np.stack(table.column(1).to_numpy()) for table in (source, target))
    if search["similarity"] == "cosine":
        queries, keys = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, keys))
    scores = queries @ keys.T
    nearest = np.sort(scores, axis=1)[:, ::-1][:, :5]
    predicted = read(tmp_path / "out" / "predictions")
    np.testing.assert_allclose(predicted["score"].to_numpy().reshape(-1, 5), nearest, atol=1e-4)
    number = {name: i for i, name in enumerate(target["id"].to_pylist())}
    places = np.array([number[i] for i in predicted["target"].to_pylist()]).reshape(-1, 5)
    rows = np.arange(len(scores))[:, None]
    np.testing.assert_allclose(scores[rows, places], nearest, atol=1e-4)
    serves = head["type"] == "dot" and not head.get("directed")
    assert search["source"].startswith("embeddings/" if serves else "link_vectors/")
    assert any(name.startswith("link_vectors") for name in manifest["tables"]) is not serves


def test_repeated_edges_are_told_apart(tmp_path: Path) -> None:
    """Three reviews of one product by one user, with labels of their own, in the order of the table."""
    users, items = ["u1", "u1", "u2", "u1", "u2", "u1"], ["a", "b", "a", "a", "b", "a"]
    split = ["train", "valid", "test", "train", "train", "train"]
    stars = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    pq.write_table(
        pa.table({"source": users, "target": items, "stars": stars, "split": split}), tmp_path / "reviews.parquet"
    )
    data = {
        "output": str(tmp_path / "run"),
        "graph": {
            "nodes": {"user": {}, "item": {}},
            "edges": [
                {
                    "source": "user",
                    "relation": "reviews",
                    "target": "item",
                    "files": "reviews.parquet",
                    "labels": {"stars": {"column": "stars", "kind": "number", "split": {"column": "split"}}},
                }
            ],
        },
        "model": {"gnn": {"type": "rgcn", "hidden": 8}},
        "task": {"type": "edge_regression", "edge_type": "user:reviews:item", "label": "stars"},
        "infer": {"shard_rows": 2},
    }
    config = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(config.graph)
    experiment = build_experiment(config, QUIET)
    export(experiment, tmp_path / "out", "id", experiment.embedder(), QUIET)
    rows = read(tmp_path / "out" / "predictions").to_pydict()
    keys = zip(rows["source"], rows["target"], rows["parallel"], strict=True)
    found = dict(zip(keys, rows["label"], strict=True))
    assert found == {
        ("u1", "a", 0): 1.0,
        ("u1", "a", 1): 4.0,
        ("u1", "a", 2): 6.0,
        ("u1", "b", 0): 2.0,
        ("u2", "a", 0): 3.0,
        ("u2", "b", 0): 5.0,
    }
