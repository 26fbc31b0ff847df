"""`train.evaluate_steps`: which validations there are, and what early stopping makes of those within an epoch."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.stopping import Stopped
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer, TrainResult

QUIET = Reporter(quiet=True)
STEPS = 4
"""Of an epoch."""


class Killed(Exception):  # noqa: N818
    """Stands for a kill."""


@pytest.fixture
def config(shop_config: Callable[..., Pipeline]) -> Callable[..., Pipeline]:
    """A function of changes of `train`: three epochs of four steps, validated and saved after each."""

    def make(**train: Any) -> Pipeline:
        usual = {"epochs": 3, "batch_size": 40, "evaluate_steps": 1, "checkpoint": {"every_steps": 1}}
        return shop_config("node_regression", train={**usual, **train})

    return make


def train(pipeline: Pipeline, folder: Path, scores: list[float], end: BaseException | None = None) -> TrainResult:
    """Train; the rmse after update n is scores[n - 1], and nearer and nearer to 0 after those that are given. end: is
    raised instead of the validation after the last that is given."""
    trainer = Trainer(build_experiment(pipeline, QUIET), folder, QUIET)
    assert trainer.updates_per_epoch == STEPS

    def evaluate(*_: Any) -> dict[str, float]:
        update = trainer.state.updates
        if update == len(scores) and end is not None:
            raise end
        return {"rmse": scores[update - 1] if update <= len(scores) else 1 / update}

    trainer.task.evaluate = evaluate  # type: ignore[method-assign, assignment]
    return trainer.train()


def validated(folder: Path) -> list[int]:
    return [record["update"] for record in read_metrics(folder) if record["kind"] == "valid"]


@pytest.mark.parametrize("rule", ["best", "mean"])
@pytest.mark.parametrize("end", [Killed(), Stopped(signal.SIGTERM)])
def test_a_resume_within_an_epoch_does_not_end_training(
    config: Callable[..., Pipeline], tmp_path: Path, rule: str, end: BaseException
) -> None:
    """Two bad validations ended the resumed run at once; the whole run decides at the end of the epoch. After a kill
    the newest resume point is that of the third update, after a signal that of the epoch's last."""
    scores, pipeline = [5.0, 6.0, 7.0, 1.0], config(early_stop={"patience": 2, "rule": rule})
    whole = train(pipeline, tmp_path / "whole", scores)
    with pytest.raises(type(end)):
        train(pipeline, tmp_path / "broken", scores, end)
    resumed = train(pipeline, tmp_path / "broken", scores)
    assert (resumed.best, resumed.epochs, resumed.updates) == (whole.best, whole.epochs, whole.updates)
    assert resumed.updates > 3
    assert validated(tmp_path / "broken") == validated(tmp_path / "whole")


@pytest.mark.parametrize(("rule", "epochs"), [("mean", 1), ("best", 3)])
def test_a_stop_within_an_epoch_is_not_forgotten_by_the_mean(
    config: Callable[..., Pipeline], tmp_path: Path, rule: str, epochs: int
) -> None:
    """7 is no better than the mean of 5 and 6: this epoch is the last one, whatever follows in it. `best` counts anew
    after 1."""
    found = train(config(early_stop={"patience": 2, "rule": rule}), tmp_path, [5.0, 6.0, 7.0, 1.0])
    assert (found.epochs, found.best) == (epochs, 1.0 if rule == "mean" else 1 / 12)


def test_steps_that_end_an_epoch_are_validated_too(config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """500 steps an epoch, evaluate_steps: 500, evaluate_every: 10 validated once in ten epochs."""
    for steps, updates in ((STEPS, [4, 8, 12]), (2 * STEPS, [8, 12]), (3, [3, 6, 9, 12])):
        train(config(evaluate_steps=steps, evaluate_every=3), tmp_path / str(steps), [])
        assert validated(tmp_path / str(steps)) == updates
