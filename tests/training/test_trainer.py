"""The loop learns, stops, refuses what is not finite, and scores the test split never."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.errors import TrainingError
from graphstorm_like.progress import ProgressMeter, Reporter, duration
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.tasks import Evaluation, LabelTask
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.phases.base import phase_of
from graphstorm_like.training.phases.handover import Handover
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer, describe

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
    task = {"head": {"type": head}, "loss": {"type": loss}, "metrics": ["mrr", "hits@10"]}
    trainer = trainer_of(shop_config("link_prediction", task=task, train={"epochs": 8}), tmp_path)
    how = Evaluation("layer_wise", (), 0)
    before = trainer.task.evaluate(trainer.experiment.embedder(), "valid", how)["mrr"]
    result = trainer.train()
    assert result.best > max(0.06, 1.3 * before)  # ranks at random: about .025


@pytest.mark.known_answer("phases/gnn")
@pytest.mark.parametrize("workers", [0, 1])
def test_the_last_group_of_an_epoch_is_not_lost(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Steps that are no multiple of `accumulate`: the rest are an optimizer step too, and every row is trained."""
    config = shop_config(train={"epochs": 2, "batch_size": 7, "accumulate": 4, "workers": workers})
    experiment = phase_of(config.train.phase_list()[0]).build(Handover(config, {}), QUIET)
    trainer = Trainer(experiment, tmp_path, QUIET)
    steps, rows = trainer.stream.steps, trainer.task.rows("train")
    assert steps % 4 != 0
    sizes: list[int] = []
    seeds: list[int] = []
    update = Trainer.update

    def record(self: Trainer, group: list[MiniBatch], meter: ProgressMeter) -> None:
        before = [p.detach().clone() for p in self.model.parameters()]
        update(self, group, meter)
        assert any(not torch.equal(old, new) for old, new in zip(before, self.model.parameters(), strict=True))
        sizes.append(len(group))
        seeds.extend(node for batch in group for node in batch.seeds["item"].tolist())

    monkeypatch.setattr(Trainer, "update", record)
    result = trainer.train()
    of_an_epoch = [4] * (steps // 4) + [steps % 4]
    assert sizes == of_an_epoch * 2
    assert result.updates == len(sizes)
    assert sorted(seeds) == sorted(rows.tolist() * 2)


NEW = [("node_regression", "rgcn"), ("node_regression", "sage")] + [
    (task, gnn) for task in ("edge_classification", "edge_regression") for gnn in ("rgcn", "sage", "none")
]


@pytest.mark.parametrize(("task", "gnn"), NEW)
def test_learns_other_labels(shop_config: Callable[..., Pipeline], tmp_path: Path, task: str, gnn: str) -> None:
    loss = {"task": {"loss": "huber"}} if gnn == "sage" and task != "edge_classification" else {}
    trainer = trainer_of(
        shop_config(task, model={"gnn": {"type": gnn, "hidden": 16}}, train={"epochs": 8}, **loss), tmp_path
    )
    result, made = trainer.train(), trainer.task
    assert isinstance(made, LabelTask)
    train, valid = (made.labels[made.rows(s)] for s in ("train", "valid"))
    if task == "edge_classification":
        guess = (valid == np.bincount(train).argmax()).mean()
        assert guess < 0.6
        assert result.best > 0.8
    else:
        # Against the training mean. A node's rating comes with its class, that is from its neighbours alone.
        guess = np.sqrt(((valid - train.mean()) ** 2).mean())
        assert result.best < (0.7 if task == "node_regression" else 0.4) * guess


@pytest.mark.parametrize(
    ("select_by", "best", "epoch", "epochs", "to_beat"), [("rmse", 0.9, 4, 5, 1.0), ("r2", 0.5, 2, 4, 0.5)]
)
def test_lower_may_be_better(
    shop_config: Callable[..., Pipeline],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    select_by: str,
    best: float,
    epoch: int,
    epochs: int,
    to_beat: float,
) -> None:
    """Best checkpoint and patience follow the lowest rmse, or the highest r2."""
    train = {"epochs": 9, "early_stop": {"patience": 2, "min_delta": 0.25}}
    trainer = trainer_of(shop_config("node_regression", task={"select_by": select_by}, train=train), tmp_path)
    scores = iter([{"rmse": a, "r2": b} for a, b in [(2.0, 0.1), (1.9, 0.5), (1.0, 0.4), (0.9, 0.3), (1.1, 0.2)]])
    monkeypatch.setattr(trainer.task, "evaluate", lambda *_: next(scores))
    result = trainer.train()
    # .9 is the lowest rmse and is saved, but does not beat 1.0 by min_delta: two bad ones in a row end the run.
    assert (result.best, result.best_epoch, result.epochs, trainer.state.to_beat) == (best, epoch, epochs, to_beat)
    saved = json.loads((tmp_path / "best" / "metrics.json").read_text())
    assert (saved[select_by], saved["epoch"]) == (best, epoch)


def test_a_score_that_is_no_number_is_not_the_best(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN came first, nothing is more than NaN, and so the weights of the first epoch stayed the best."""
    trainer = trainer_of(shop_config("node_regression", train={"epochs": 3, "early_stop": {"patience": 2}}), tmp_path)
    scores = iter([{"rmse": float("nan")}, {"rmse": 2.0}, {"rmse": float("nan")}])
    monkeypatch.setattr(trainer.task, "evaluate", lambda *_: next(scores))
    result = trainer.train()
    assert (result.best, result.best_epoch) == (2.0, 2)


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
    assert kinds == {"train", "valid", "epoch"}  # the test split was not touched


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


def test_an_epoch_tells_its_own_time_and_that_of_validation(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part of the line ends with its own time: 5 s an update, 100 s a validation."""
    trainer = trainer_of(shop_config(train={"epochs": 2, "evaluate_every": 2}), tmp_path)
    seconds = 0.0
    update, evaluate = Trainer.update, type(trainer.task).evaluate

    def slow_update(self: Trainer, group: list[MiniBatch], meter: ProgressMeter) -> None:
        nonlocal seconds
        seconds += 5.0
        update(self, group, meter)

    def slow_evaluate(*arguments: Any) -> dict[str, float]:
        nonlocal seconds
        seconds += 100.0
        return evaluate(*arguments)

    lines: list[str] = []
    monkeypatch.setattr("graphstorm_like.training.trainer.time", SimpleNamespace(monotonic=lambda: seconds))
    monkeypatch.setattr(Trainer, "update", slow_update)
    monkeypatch.setattr(type(trainer.task), "evaluate", slow_evaluate)
    monkeypatch.setattr(trainer, "reporter", Reporter(quiet=True))
    monkeypatch.setattr(trainer.reporter, "line", lines.append)
    trainer.train()
    epoch = duration(5.0 * trainer.updates_per_epoch)
    first, second = (line for line in lines if line.startswith("epoch "))
    assert re.fullmatch(rf"epoch 1/2: loss [\d.]+ \[{epoch}\]", first)
    assert re.fullmatch(rf"epoch 2/2: loss [\d.]+ \[{epoch}\], valid .* \(best\) \[1 min 40 s\]", second)


def test_node_embeddings_are_counted_among_the_parameters(shop_config: Callable[..., Pipeline]) -> None:
    """They lie outside the modules, and are most of what learns where nodes have nothing else."""

    def learning(embedding: bool) -> str:
        inputs = {"item": {"text": [], "embedding": embedding}, "user": {"embedding": False}}
        experiment = build_experiment(shop_config(model={"inputs": inputs}), QUIET)
        return describe(experiment).split("; ")[1]

    without, with_embeddings = learning(embedding=False), learning(embedding=True)
    experiment = build_experiment(shop_config(), QUIET)
    rows = experiment.graph.manifest.node("item").count * experiment.model.hidden
    assert "node embeddings" not in without
    assert f" ({rows:,} of them node embeddings, in host memory), with optimizer state " in with_embeddings
    counts = [int(text.split(" parameters")[0].replace(",", "")) for text in (without, with_embeddings)]
    assert counts[1] == counts[0] + rows
