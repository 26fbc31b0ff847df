"""Losses and metrics of node classification, by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.config.tasks.node_classification import NodeClassificationConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.sampling.batch import MiniBatch, NodeTargets, StreamPosition
from graphstorm_like.tasks.node_classification import NodeClassification
from graphstorm_like.tasks.targets import ClassTarget


def class_metrics(labels: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, float]:
    given = {"type": "node_classification", "node_type": "a", "label": "b"}
    target = ClassTarget(NodeClassificationConfig.model_validate(given), [f"c{i}" for i in range(classes)], labels)
    return target.metrics(np.eye(classes, dtype=np.float32)[predicted], labels.astype(np.int32))


def test_metrics_by_hand() -> None:
    pairs = np.array(((0, 0), (0, 1), (1, 1), (1, 1), (3, 0)))
    found = class_metrics(pairs[:, 0], pairs[:, 1], 5)
    # F1: class 0: 2*1/(2+2); class 1: 2*2/(3+2); class 3: 0; classes 2 and 4 are in neither and do not count.
    assert found == {"accuracy": pytest.approx(0.6), "macro_f1": pytest.approx((0.5 + 0.8 + 0) / 3)}


def test_metrics_are_those_of_torchmetrics() -> None:
    from torchmetrics import functional

    rng = np.random.default_rng(0)
    labels, predicted = torch.from_numpy(rng.integers(7, size=300)), torch.from_numpy(rng.integers(6, size=300))
    found = class_metrics(labels.numpy(), predicted.numpy(), 9)
    wanted = functional.f1_score(predicted, labels, task="multiclass", num_classes=9, average="macro")
    assert found["macro_f1"] == pytest.approx(float(wanted), abs=1e-6)
    assert found["accuracy"] == pytest.approx(float((labels == predicted).double().mean()))


def task_of(make: Callable[..., Pipeline], **changes: object) -> NodeClassification:
    config = make(task=changes)
    return NodeClassification(config.task, LocalGraph(str(config.graph.path)), 4)  # type: ignore[arg-type]


def batch(labels: list[int]) -> MiniBatch:
    seeds = {"item": torch.arange(len(labels))}
    return MiniBatch(seeds, StreamPosition(0, 0), NodeTargets("item", torch.tensor(labels)))


@pytest.mark.known_answer("tasks/node_classification")
def test_loss_is_a_sum_and_splits_add_up(shop_config: Callable[..., Pipeline]) -> None:
    task, h = task_of(shop_config), torch.randn(5, 4)
    whole, count = task.loss({"item": h}, batch([0, 1, 2, 1, 0]))
    first, n = task.loss({"item": h[:2]}, batch([0, 1]))
    rest, m = task.loss({"item": h[2:]}, batch([2, 1, 0]))
    torch.testing.assert_close(whole, first + rest)
    assert (count, n, m) == (5, 2, 3)
    want = torch.nn.functional.cross_entropy(task.head(h), torch.tensor([0, 1, 2, 1, 0]))
    torch.testing.assert_close(whole / count, want)


def test_balanced_weights(shop_config: Callable[..., Pipeline]) -> None:
    task = task_of(shop_config, class_weights="balanced")
    rows = task.rows("train")
    seen = np.bincount(task.graph.label("item", "kind")[rows], minlength=3)
    weights = task.get_buffer("target.class_weights")
    np.testing.assert_allclose(weights.numpy() * seen, len(rows) / 3, rtol=1e-5)
    _, total = task.loss({"item": torch.randn(2, 4)}, batch([0, 2]))
    assert total == pytest.approx(float(weights[0] + weights[2]))
