"""Labels of several classes: columns, metrics by hand, and a run from tables to packed model and server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import build_pipeline
from graphstorm_like.config.search import ExactSearchConfig
from graphstorm_like.config.tasks.node_multi_label import NodeMultiLabelConfig
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.serve.answers import Answers, Question
from graphstorm_like.serve.engine import Engine
from graphstorm_like.tasks.targets import ClassesTarget
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.training.experiment import build_experiment

QUIET = Reporter(quiet=True)
PREDICTED = np.array([[0.9, 0.1, 0.2], [0.6, 0.7, 0.1], [0.1, 0.1, 0.1]], dtype=np.float32)
LABELS = np.array([[1, 0, 0], [0, 1, 0], [255, 255, 255]], dtype=np.uint8)
TRAIN = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=np.uint8)


def target(**settings: Any) -> ClassesTarget:
    given = {"type": "node_multi_label", "node_type": "a", "label": "b", **settings}
    return ClassesTarget(NodeMultiLabelConfig.model_validate(given), ["x", "y", "z"], TRAIN)


def test_columns_hold_names_of_classes() -> None:
    columns = target().columns(PREDICTED, LABELS)
    assert columns["prediction"].to_pylist() == [["x"], ["x", "y"], []]
    assert columns["label"].to_pylist() == [["x"], ["y"], None]
    assert columns["probabilities"].to_pylist()[1] == pytest.approx({"x": 0.6, "y": 0.7, "z": 0.1})
    assert target(threshold=0.65).columns(PREDICTED, LABELS)["prediction"].to_pylist() == [["x"], ["y"], []]
    unlabelled = target().unlabelled(3)
    assert target().columns(PREDICTED, unlabelled)["label"].to_pylist() == [None, None, None]


def test_metrics_by_hand() -> None:
    names = ["micro_f1", "macro_f1", "weighted_f1", "roc_auc", "average_precision"]
    found = target(metrics=names).metrics(PREDICTED[:2], LABELS[:2])
    # x: right 1, wrong 1; y: right 1; z is neither label nor prediction, and does not count.
    assert found["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert found["macro_f1"] == found["weighted_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["roc_auc"] == found["average_precision"] == 1.0
    whole = target().metrics(np.concatenate([PREDICTED[:2]] * 3), np.concatenate([LABELS[:2]] * 3))
    assert whole == pytest.approx({name: found[name] for name in whole})


def test_weights_of_classes() -> None:
    assert target(class_weights="balanced").get_buffer("class_weights").tolist() == [3.0, 1.0, 4.0]
    assert target(class_weights={"y": 2.5}).get_buffer("class_weights").tolist() == [1.0, 2.5, 1.0]
    with pytest.raises(ConfigError, match=r"task\.class_weights: unknown class 'Y' \(known: x, y, z\)"):
        target(class_weights={"Y": 2.5})


def tagged(folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """A shop whose items and similar pairs have tags: of a kind's name, and of what their prices say."""
    tables = write_shop(folder / "tables", items=120, users=20)
    items = pq.read_table(tables / "item.parquet")
    rows = zip(items["kind"].to_pylist(), items["price"].to_pylist(), strict=True)
    tags = [[kind, *(["cheap"] if price < 1 else [])] if i % 10 else None for i, (kind, price) in enumerate(rows)]
    pq.write_table(items.append_column("tags", pa.array(tags)), tables / "item.parquet")
    pairs = pq.read_table(tables / "similar.parquet")
    of_pairs = ["up" if trend == "up" else "" for trend in pairs["trend"].to_pylist()]
    pq.write_table(pairs.append_column("tags", pa.array(of_pairs)), tables / "similar.parquet")
    data = shop_pipeline(tables, folder / "run")
    label = {"column": "tags", "kind": "classes", "split": {"column": "split"}}
    data["graph"]["nodes"]["item"]["labels"]["tags"] = label
    data["graph"]["edges"][1]["labels"]["tags"] = {**label, "separator": ";"}
    data["task"] = task
    data["train"]["epochs"] = 8
    return data


@pytest.mark.slow
def test_a_run_from_tables_to_a_server(tmp_path: Path) -> None:
    data = tagged(tmp_path, {"type": "node_multi_label", "node_type": "item", "label": "tags"})
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, reporter=QUIET)
    folder = Path(pipeline.output)
    scores = json.loads((folder / "evaluate/metrics.json").read_text(encoding="utf-8"))
    assert scores["test"]["micro_f1"] > 0.75
    table = pq.read_table(folder / "infer/predictions/part-00000.parquet")
    rows = {row["id"]: row for row in table.to_pylist()}
    assert rows["item-0000"]["label"] is None
    assert set(rows["item-0001"]["label"]) <= {"book", "game", "tool", "cheap"}
    probabilities = rows["item-0001"]["probabilities"]
    assert rows["item-0001"]["prediction"] == [name for name, p in probabilities.items() if p > 0.5]
    model = Model.load(pack(str(folder), tmp_path / "model"))
    assert "| `cheap` |" in (tmp_path / "model/README.md").read_text(encoding="utf-8")
    base = Path(str(pipeline.graph.base))
    tables = {name: pq.read_table(base / f"{name}.parquet") for name in ("item", "buys", "similar")}
    edges = {("user", "buys", "item"): tables["buys"], ("item", "similar", "item"): tables["similar"]}
    applied = model.predict({"nodes": {"item": tables["item"]}, "edges": edges})
    assert applied["prediction"].to_pylist() == table["prediction"].to_pylist()
    opened = model.open(Path(str(pipeline.graph.path)), unknown="mean", sweep=True)
    answers = Answers(Engine(model, opened, unknown="mean"), tmp_path, ExactSearchConfig(type="exact"))
    answers.prepare()
    answer = answers.predict(Question("predict", ids=["item-0001"]), None)
    assert answer["predictions"][0]["prediction"] == rows["item-0001"]["prediction"]
    opened.close()


@pytest.mark.known_answer("tasks/node_multi_label", "tasks/edge_multi_label")
@pytest.mark.parametrize("of_edges", [False, True])
def test_loss_by_hand(tmp_path: Path, of_edges: bool) -> None:
    """Of the head's outputs for the batch's own rows: binary cross-entropy, the mean over classes, summed over rows."""
    about = {"edge_type": "item:similar:item"} if of_edges else {"node_type": "item"}
    task = {"type": "edge_multi_label" if of_edges else "node_multi_label", "label": "tags", **about}
    pipeline = build_pipeline(tagged(tmp_path, task)).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, ["construct"], reporter=QUIET)
    experiment = build_experiment(pipeline, QUIET)
    made = experiment.task.eval()
    batch = next(epoch_batches(experiment.learner.batches(), made.stream(8, 0), 0))
    vectors = {"item": torch.randn(len(batch.seeds["item"]), experiment.model.hidden)}
    loss, count = made.loss(vectors, batch)
    ends = [batch.targets.sources, batch.targets.targets] if of_edges else [slice(None)]
    chances = made.head(*(vectors["item"][at] for at in ends)).sigmoid()
    labels = batch.targets.labels.float()
    of_rows = -(labels * chances.log() + (1 - labels) * (1 - chances).log()).mean(dim=1)
    assert labels.any()
    assert count == 8
    torch.testing.assert_close(loss, of_rows.sum())


@pytest.mark.slow
def test_edges(tmp_path: Path) -> None:
    task = {"type": "edge_multi_label", "edge_type": "item:similar:item", "label": "tags", "loss": "focal"}
    pipeline = build_pipeline(tagged(tmp_path, task)).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, reporter=QUIET)
    scores = json.loads((Path(pipeline.output) / "evaluate/metrics.json").read_text(encoding="utf-8"))
    assert scores["test"]["micro_f1"] > 0.7  # all up: .67
