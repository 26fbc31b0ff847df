"""A run that is killed and started again ends with the bits of one that was not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphstorm_like.config import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer


class Stopped(Exception):  # noqa: N818
    """Stands for a kill at one step."""


def train(config: Pipeline, folder: Path, stop_at: int | None = None) -> None:
    trainer = Trainer(build_experiment(config, Reporter(quiet=True)), folder, Reporter(quiet=True))
    if stop_at is not None:
        real = trainer.check_finite

        def check(loss: float, norm: float) -> None:
            if trainer.state.updates == stop_at:
                raise Stopped
            real(loss, norm)

        trainer.check_finite = check  # type: ignore[method-assign]
    trainer.train()


SCORES = ("loss", "accuracy", "mrr", "rmse")


def losses(folder: Path) -> list[tuple[str, int, float]]:
    return [(r["kind"], r["update"], next(r[k] for k in SCORES if k in r)) for r in read_metrics(folder)]


def assert_same_run(one: Path, two: Path) -> None:
    assert losses(one) == losses(two)
    for name in ("best/model.safetensors", sorted(p.name for p in (one / "checkpoints").iterdir())[-1]):
        a, b = (f / name if "/" in name else f / "checkpoints" / name / "model.safetensors" for f in (one, two))
        first, second = load_file(a), load_file(b)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("task", ["node_classification", "link_prediction", "edge_regression", "graph_pretraining"])
@pytest.mark.parametrize(("accumulate", "workers"), [(1, 0), (2, 1)])
def test_resumed_is_uninterrupted(
    shop_config: Callable[..., Pipeline], tmp_path: Path, task: str, accumulate: int, workers: int
) -> None:
    changes = {"train": {"accumulate": accumulate, "workers": workers, "checkpoint": {"every_steps": 2}}}
    if task == "graph_pretraining":
        changes["task"] = {"max_edges_per_relation": 90, "negatives": {"uniform": 4}}
    config = shop_config(task, **changes)
    train(config, tmp_path / "whole")
    total = losses(tmp_path / "whole")[-1][1]
    for stop in sorted({1, total // 2, total - 1}):
        with pytest.raises(Stopped):
            train(config, tmp_path / "broken", stop)
        (tmp_path / "broken" / "metrics.jsonl").open("a").write('{"kind": "tra')  # a torn line, as a kill leaves it
    train(config, tmp_path / "broken")
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


def test_two_runs_are_equal_and_seeds_matter(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    train(shop_config(), tmp_path / "a")
    train(shop_config(), tmp_path / "b")
    assert_same_run(tmp_path / "a", tmp_path / "b")
    train(shop_config(seed=1), tmp_path / "c")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def _gsl(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "graphstorm_like.cli.main", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_sigkill_at_random_moments(tmp_path: Path) -> None:
    """The real thing: gsl train, killed again and again, against one that was left alone."""
    yaml = str(write_shop_pipeline(tmp_path))
    common = ["train.epochs=6", "train.checkpoint.every_steps=1", "launch.threads=1", f"graph.path={tmp_path}/graph"]
    assert _gsl("construct", yaml, *common).wait() == 0
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert _gsl("train", yaml, *common, f"output={whole}").wait() == 0
    chance = random.Random(0)
    metrics = broken / "train" / "metrics.jsonl"
    for _ in range(4):
        before = len(metrics.read_bytes()) if metrics.exists() else 0
        job = _gsl("train", yaml, *common, f"output={broken}")
        deadline = time.monotonic() + 60
        while job.poll() is None and time.monotonic() < deadline:
            if metrics.exists() and len(metrics.read_bytes()) != before:
                break
            time.sleep(0.005)
        time.sleep(chance.random() * 0.3)
        job.send_signal(signal.SIGKILL)
        job.wait()
    job = _gsl("train", yaml, *common, f"output={broken}")
    assert job.wait(timeout=120) == 0, job.stderr and job.stderr.read().decode()
    assert_same_run(whole / "train", broken / "train")
    assert json.loads((broken / "train" / "done.json").read_text())["epochs"] == 6
    assert not [p for p in (broken / "train").rglob(".writing-*") if os.path.exists(p)]
