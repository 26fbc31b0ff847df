"""Tasks about labels of nodes and edges: which rows, which messages, which vectors, and that labels are no inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import EdgeTargets, StreamPosition, map_tensors
from graphstorm_like.tasks import EdgeLabelTask, Evaluation, LabelTask, build_task
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import describe

from ..sampling.test_steps import REVERSE, SIMILAR, message_pairs

QUIET = Reporter(quiet=True)
FIRST = StreamPosition(0, 0)
ALL_NEIGHBOURS = {"fanouts": [-1, -1], "batch_size": 64}
NEW_TASKS = ["node_regression", "edge_classification", "edge_regression"]


class EverywhereTrain(LocalGraph):
    """A store that counts rows without a label as training rows."""

    def label_rows(self, node_type: str, name: str, split: str) -> np.ndarray:
        everywhere = np.arange(len(self.label(node_type, name)))
        return everywhere if split == "train" else super().label_rows(node_type, name, split)

    def edge_label_rows(self, edge_type: tuple[str, str, str], name: str, split: str) -> np.ndarray:
        everywhere = np.arange(len(self.edge_label(edge_type, name)))
        return everywhere if split == "train" else super().edge_label_rows(edge_type, name, split)


@pytest.mark.parametrize("kind", NEW_TASKS)
@pytest.mark.parametrize("store", [LocalGraph, EverywhereTrain])
def test_rows_without_a_label_are_no_seeds(shop_config: Callable[..., Pipeline], kind: str, store: type) -> None:
    config = shop_config(kind)
    task = build_task(config.task, store(config.graph.path), 4)
    assert isinstance(task, LabelTask)
    unlabelled = task.labels == -1 if kind == "edge_classification" else np.isnan(task.labels)
    assert unlabelled.sum() >= 20
    seeds = np.concatenate([task.rows(s) for s in ("train", "valid", "test")])
    assert not unlabelled[seeds].any()
    # With the honest store: each labelled row in one split. With the other: all of them in training.
    assert len(seeds if store is LocalGraph else task.rows("train")) == (~unlabelled).sum()


def test_a_graph_folder_without_the_label(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    config = shop_config("edge_regression", task={"label": "gap"})
    graph = LocalGraph(str(config.graph.path))
    with pytest.raises(DataError, match=r"item:similar:item: unknown label 'gup' .* Did you mean 'gap'\? Run: gsl"):
        build_task(config.task.model_copy(update={"label": "gup"}), graph, 4)
    with pytest.raises(DataError, match=r"'trend' of item:similar:item must be of kind number for edge_regression"):
        build_task(config.task.model_copy(update={"label": "trend"}), graph, 4)


@pytest.mark.parametrize("exclude", [True, False])
def test_target_edges_are_no_messages(shop_config: Callable[..., Pipeline], exclude: bool) -> None:
    config = shop_config("edge_regression", task={"exclude_target_edges": exclude}, train=ALL_NEIGHBOURS)
    experiment = build_experiment(config, QUIET)
    graph, task = experiment.graph, experiment.task
    chosen = np.random.default_rng(0).choice(task.rows("train"), size=64, replace=False)
    batch = experiment.learner.batches().make(chosen, FIRST)
    ids = batch.input_ids["item"].numpy()
    messages = message_pairs(batch.blocks, ids, SIMILAR) + [
        (s, t) for t, s in message_pairs(batch.blocks, ids, REVERSE)
    ]
    held_out = np.concatenate([task.rows("valid"), task.rows("test")])
    banned = {tuple(pair) for rows in (chosen, held_out) for pair in np.stack(graph.edges(SIMILAR, rows), 1).tolist()}
    found = sum(pair in banned for pair in messages)
    assert len(messages) - found > 100
    if exclude:
        assert found == 0
        assert "validation and test edges of item:similar:item are excluded from message passing" in describe(
            experiment
        )
    else:  # the check can fail: without exclusion they are there, from either end
        assert found >= 2 * len(chosen)
        assert not graph.hide
    # Edges without a label stay messages.
    free = np.setdiff1d(np.arange(len(task.labels)), np.concatenate([held_out, task.rows("train")]))
    assert {tuple(p) for p in np.stack(graph.edges(SIMILAR, free), 1).tolist()} & set(messages)


@pytest.mark.known_answer("tasks/edge_classification", "tasks/edge_regression")
@pytest.mark.parametrize("kind", ["edge_classification", "edge_regression"])
def test_scores_are_those_of_the_vectors_of_both_ends(shop_config: Callable[..., Pipeline], kind: str) -> None:
    experiment = build_experiment(shop_config(kind, train=ALL_NEIGHBOURS), QUIET)
    task, embedder = experiment.task, experiment.embedder()
    assert isinstance(task, EdgeLabelTask)
    rows = task.rows("test")
    source, target = experiment.graph.edges(SIMILAR, rows)
    vectors = embedder.layer_wise(["item"])
    h_s, h_t = (torch.from_numpy(vectors["item"][i]) for i in (source, target))
    with torch.inference_mode():
        outputs = task.head.eval()(h_s, h_t)
    wanted = task.target.metrics(task.target.predict(outputs).numpy(), task.labels[rows])
    exact = task.evaluate(embedder, "test", Evaluation("layer_wise", (), 0))
    assert exact == pytest.approx(wanted, rel=1e-5)
    sampled = task.evaluate(embedder, "test", Evaluation("mini_batch", experiment.pipeline.train.fanouts, 0))
    assert sampled == pytest.approx(exact, rel=1e-4)
    # One row at a time, and in the order of the graph.
    part = task.predict_rows(vectors, slice(10, 13))
    whole = task.predict_rows(vectors, slice(0, len(task.labels)))
    np.testing.assert_allclose(part, whole[10:13], atol=1e-5)
    swapped = task.predict(vectors, target, source, rows)
    assert np.abs(swapped - task.predict(vectors, source, target, rows)).max() > 1e-3


def test_labels_are_no_inputs(shop: tuple[Path, Path], tmp_path: Path) -> None:
    """Other labels, the same splits: every batch is the same but for its labels."""

    def batch(turn: int):
        tables = write_shop(tmp_path / f"t{turn}")
        table = pq.read_table(tables / "similar.parquet")
        values = [None if v is None else v * (-1) ** turn + turn for v in table["gap"].to_pylist()]
        table = table.set_column(table.schema.get_field_index("gap"), "gap", pa.array(values))
        pq.write_table(table, tables / "similar.parquet")
        pipeline = build_pipeline(shop_pipeline(tables, tmp_path / f"run{turn}", "edge_regression"))
        pipeline = pipeline.with_absolute_paths(tmp_path)
        build_graph(pipeline.graph)
        experiment = build_experiment(pipeline, QUIET)
        return experiment.learner.batches().make(experiment.task.rows("train")[:32], FIRST)

    first, second = batch(0), batch(1)
    assert isinstance(first.targets, EdgeTargets)
    assert isinstance(second.targets, EdgeTargets)
    assert not torch.equal(first.targets.labels, second.targets.labels)
    tensors: list[list[torch.Tensor]] = [[], []]
    for found, made in zip(tensors, (first, second)):
        map_tensors(made.replace(targets=None), lambda t, found=found: found.append(t) or t)
    assert len(tensors[0]) == len(tensors[1]) > 10
    assert all(torch.equal(a, b) for a, b in zip(*tensors))


def test_ends_of_two_types_and_parallel_edges(tmp_path: Path) -> None:
    """user u_i rates item i_j with 10 i + j: known answers by both ends, twice with another split."""
    pairs = [(i, j) for i in range(6) for j in range(5)]
    rows = {
        "source": [f"u{i}" for i, _ in pairs] + ["u0"],
        "target": [f"i{j}" for _, j in pairs] + ["i0"],
        "stars": [float(10 * i + j) for i, j in pairs] + [99.0],
        "split": [("train", "train", "train", "valid", "test")[j] for _, j in pairs] + ["test"],
    }
    pq.write_table(pa.table(rows), tmp_path / "rates.parquet")
    label = {"column": "stars", "kind": "number", "split": {"column": "split"}}
    edge = {"source": "user", "relation": "rates", "target": "item", "files": "rates.parquet", "labels": {"y": label}}
    data = {
        "output": str(tmp_path / "run"),
        "graph": {"base": str(tmp_path), "nodes": {"user": {}, "item": {}}, "edges": [edge]},
        "model": {"gnn": {"type": "rgcn", "hidden": 8}},
        "task": {"type": "edge_regression", "edge_type": "user:rates:item", "label": "y"},
        "train": {"fanouts": [-1, -1]},
    }
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    experiment = build_experiment(pipeline, QUIET)
    graph, task = experiment.graph, experiment.task
    assert task.node_types == ("user", "item")
    made = task.seeder(0)(task.rows("train")[[3, 0, 7]], FIRST)
    assert isinstance(made.targets, EdgeTargets)
    users = made.seeds["user"][made.targets.sources].tolist()
    items = made.seeds["item"][made.targets.targets].tolist()
    for user, item, stars in zip(users, items, made.targets.labels.tolist()):
        assert stars == 10 * int(graph.ids("user")[user].as_py()[1:]) + int(graph.ids("item")[item].as_py()[1:])
    # The parallel of a test edge is excluded from message passing too, though it is a training edge itself.
    assert len(task.rows("train")) == 18
    assert graph.degrees(("user", "rates", "item")).sum() == graph.degrees(("item", "rates_rev", "user")).sum() == 17
    found = task.evaluate(experiment.embedder(), "valid", Evaluation("layer_wise", (), 0))
    assert set(found) == {"rmse", "mae", "r2"}
