"""The loop learns, stops, refuses what is not finite, and scores the test split never."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.errors import TrainingError
from graphstorm_like.tasks import Evaluation
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.progress import Reporter
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer

QUIET = Reporter(quiet=True)


def trainer_of(config: Pipeline, folder: Path) -> Trainer:
    return Trainer(build_experiment(config, QUIET), folder, QUIET)


@pytest.mark.parametrize("gnn", ["rgcn", "sage", "rgat"])
def test_learns_classes_from_the_graph(shop_config: Callable[..., Pipeline], tmp_path: Path, gnn: str) -> None:
    config = shop_config(model={"gnn": {"type": gnn, "hidden": 16}}, train={"epochs": 8})
    trainer = trainer_of(config, tmp_path)
    result = trainer.train()
    assert result.best > 0.8  # three classes of equal size: guessing gives .33


@pytest.mark.parametrize("head", ["dot", "distmult"])
@pytest.mark.parametrize("loss", ["info_nce", "cross_entropy"])
def test_learns_links(shop_config: Callable[..., Pipeline], tmp_path: Path, head: str, loss: str) -> None:
    task = {"head": {"type": head}, "loss": {"type": loss}, "ranking": {"candidates": "all", "hits": [10]}}
    trainer = trainer_of(shop_config("link_prediction", task=task, train={"epochs": 8}), tmp_path)
    how = Evaluation("layer_wise", (), 0)
    before = trainer.task.evaluate(trainer.experiment.embedder(), "valid", how)["mrr"]
    result = trainer.train()
    assert result.best > max(0.06, 1.3 * before)  # ranks at random: about .025


def test_sampled_ranking_validates_by_mini_batches(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    config = shop_config("link_prediction", task={"ranking": {"candidates": 20}}, train={"epochs": 1})
    trainer = trainer_of(config, tmp_path)
    assert trainer.task.evaluation(config.train.fanouts, 0).mode == "mini_batch"
    assert trainer.train().best > 0.1


def test_early_stop_and_best(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    config = shop_config(train={"epochs": 50, "lr": 1e-9, "embedding_lr": 1e-9, "early_stop": {"patience": 2}})
    result = trainer_of(config, tmp_path).train()
    assert result.epochs < 10
    kinds = {r["kind"] for r in read_metrics(tmp_path)}
    assert kinds == {"train", "valid"}  # the test split was not touched


def test_a_loss_that_is_not_finite_stops_before_the_step(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    trainer = trainer_of(shop_config(), tmp_path)
    weight = trainer.task.head.stack[0].weight
    weight.data.fill_(float("nan"))
    others = {n: p.clone() for n, p in trainer.experiment.model.named_parameters()}
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: loss and gradients must be finite \(got loss nan"):
        trainer.train()
    assert all((others[n] == p).all() for n, p in trainer.experiment.model.named_parameters())


def test_a_changed_graph_is_refused_on_resume(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    trainer_of(shop_config(train={"epochs": 1}), tmp_path).train()
    wider = shop_config(train={"epochs": 1}, model={"gnn": {"type": "rgcn", "hidden": 32}})
    with pytest.raises(TrainingError, match="weights must fit the model"):
        trainer_of(wider, tmp_path).train()


@pytest.mark.parametrize("gnn", ["sage", "rgat"])
def test_bfloat16_trains(shop_config: Callable[..., Pipeline], tmp_path: Path, gnn: str) -> None:
    config = shop_config(train={"precision": "bfloat16", "epochs": 8}, model={"gnn": {"type": gnn, "hidden": 16}})
    assert trainer_of(config, tmp_path).train().best > 0.7


def test_min_delta_is_about_stopping_not_about_saving(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    config = shop_config(train={"epochs": 8, "early_stop": {"patience": 3, "min_delta": 0.9}})
    result = trainer_of(config, tmp_path).train()
    assert result.epochs == 4  # nothing beats the first by .9
    found = [r["accuracy"] for r in read_metrics(tmp_path) if r["kind"] == "valid"]
    assert result.best == max(found) > found[0]
