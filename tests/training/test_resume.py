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

import graphstorm_like.training.stopping as stopping
from graphstorm_like.config import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.stopping import stop_on_signals
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


SCORES = ("loss", "accuracy", "mrr", "rmse", "mean", "micro_f1")


def losses(folder: Path) -> list[tuple[str, int, float]]:
    return [(r["kind"], r["update"], next(r[k] for k in SCORES if k in r)) for r in read_metrics(folder)]


def assert_same_run(one: Path, two: Path) -> None:
    assert losses(one) == losses(two)
    for name in ("best/model.safetensors", sorted(p.name for p in (one / "checkpoints").iterdir())[-1]):
        a, b = (f / name if "/" in name else f / "checkpoints" / name / "model.safetensors" for f in (one, two))
        first, second = load_file(a), load_file(b)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(
    "task",
    [
        "node_classification",
        "link_prediction",
        "edge_regression",
        "graph_pretraining",
        pytest.param("links_of_relations", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("accumulate", "workers"), [(1, 0), pytest.param(2, 1, marks=pytest.mark.slow)])
def test_resumed_is_uninterrupted(
    shop_config: Callable[..., Pipeline], tmp_path: Path, task: str, accumulate: int, workers: int
) -> None:
    changes = {"train": {"accumulate": accumulate, "workers": workers, "checkpoint": {"every_steps": 2}}}
    if task == "graph_pretraining":
        changes["task"] = {"max_edges_per_relation": 90, "negatives": {"uniform": 4}}
    if task == "links_of_relations":
        changes["task"] = {"edge_type": None, "edge_types": "all", "ends": "both", "dropout": 0.2, "n3": 0.01}
        changes["task"]["head"] = {"type": "complex"}
        task = "link_prediction"
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


def train_until_signal(
    config: Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str, count: int
) -> list[str]:
    """Train with handlers as `gsl` sets them; SIGTERM comes in the count-th call of a method. Lines of the reporter."""
    lines: list[str] = []
    reporter = Reporter(quiet=True)
    monkeypatch.setattr(reporter, "line", lines.append)
    trainer = Trainer(build_experiment(config, Reporter(quiet=True)), folder, reporter)
    owner = trainer if moment == "check_finite" else trainer.task
    real, calls = getattr(owner, moment), iter(range(1, 1000))

    def signalled(*arguments: object) -> object:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(owner, moment, signalled)
    with stop_on_signals():
        trainer.train()
    return lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "count"),
    [("check_finite", 1), ("check_finite", 6), ("evaluate", 1)],
    ids=["first", "later", "validation"],
)
@pytest.mark.parametrize(("task", "workers"), [("node_classification", 0), ("link_prediction", 1)])
def test_sigterm_writes_a_resume_point(
    shop_config: Callable[..., Pipeline],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    workers: int,
    moment: str,
    count: int,
) -> None:
    config = shop_config(task, train={"workers": workers})
    train(config, tmp_path / "whole")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(stopping.Stopped) as stopped:
        train_until_signal(config, tmp_path / "broken", monkeypatch, moment, count)
    assert stopped.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert list((tmp_path / "broken" / "checkpoints").glob("step-*"))
    train(config, tmp_path / "broken")
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


def test_a_signal_outside_of_training_ends_at_once() -> None:
    with pytest.raises(stopping.Stopped), stop_on_signals():
        os.kill(os.getpid(), signal.SIGHUP)
    went_on = []

    def be_told_twice() -> None:
        with stop_on_signals(), stopping.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopping.requested() == signal.SIGTERM
            went_on.append("after the first")
            os.kill(os.getpid(), signal.SIGTERM)
            went_on.append("after the second")

    with pytest.raises(stopping.Stopped):
        be_told_twice()
    assert went_on == ["after the first"]
    assert stopping.requested() == 0


def test_a_signal_at_the_very_end_of_training_is_not_lost() -> None:
    """Noted while the last resume point is written: evaluation must not begin."""

    def train_to_the_end() -> None:
        with stop_on_signals():
            with stopping.deferred():
                os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("it went on")

    with pytest.raises(stopping.Stopped) as stopped:
        train_to_the_end()
    assert stopped.value.number == signal.SIGTERM
    assert stopping.requested() == 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "everyone"), [(signal.SIGTERM, False), (signal.SIGHUP, True)])
def test_gsl_ends_with_the_status_of_a_resume_point(tmp_path: Path, number: signal.Signals, everyone: bool) -> None:
    """everyone: the sampler processes get the signal too, as from a closed terminal."""
    yaml = str(write_shop_pipeline(tmp_path))
    common = ["train.epochs=40", "train.early_stop=null", "launch.threads=1", "train.workers=1"]
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "run", yaml, *common]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    metrics = tmp_path / "run" / "train" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if everyone:
        os.killpg(job.pid, number)
    else:
        job.send_signal(number)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == stopping.SAVED, output
    assert f"{number.name}: wrote a resume point at update " in output
    assert "stopped; the same command goes on from the last resume point" in output
    assert "Traceback" not in output
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 0, output
    assert "resuming at epoch " in output
    whole = tmp_path / "whole"
    assert _gsl("train", yaml, *common, f"output={whole}", f"graph.path={tmp_path}/run/graph").wait() == 0
    assert_same_run(whole / "train", tmp_path / "run" / "train")


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
