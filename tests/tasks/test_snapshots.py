"""`task.snapshots`: rows come in the order of their times, one stretch of time after another."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.clock import times_of
from graphstorm_like.sampling.seeds import SeedStream, SnapshotSeedStream
from graphstorm_like.testing.times import timed_pipeline, write_timed_shop
from graphstorm_like.training.experiment import build_experiment

from ..training.test_resume import Stopped, assert_same_run, losses, train

QUIET = Reporter(quiet=True)


def test_groups_come_one_after_another() -> None:
    stream = SnapshotSeedStream(np.arange(10, 20), 2, 0, groups=(2, 5, 3), epochs=2)
    assert (stream.size, stream.steps) == (5, 3)

    def steps(epoch: int) -> list[list[int]]:
        order = stream.epoch_order(epoch)
        return [stream.step_ids(order, step).tolist() for step in range(stream.steps)]

    epochs = list(map(steps, range(7)))
    for epoch, wanted in enumerate([[10, 11]] * 2 + [list(range(12, 17))] * 2 + [[17, 18, 19]] * 3):
        assert sorted(set(itertools.chain.from_iterable(epochs[epoch]))) == wanted
        assert all(ids and len(set(ids)) == len(ids) for ids in epochs[epoch])
    assert epochs[4] != epochs[5]
    # A row comes again only once all of its group have come, and in another step.
    assert [sorted(ids) for ids in epochs[0]] == [[10, 11]] * 3
    assert sorted(epochs[2][0] + epochs[2][1] + epochs[2][2]) == list(range(12, 17))
    assert [len(ids) for ids in epochs[4]] == [2, 1, 2]
    still = SnapshotSeedStream(np.arange(4), 2, 0, shuffle=False, groups=(3, 1), epochs=1)
    assert [still.epoch_order(epoch).tolist() for epoch in range(2)] == [[0, 1, 2, -1], [3, -1, 3, -1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("snapshots")
    write_timed_shop(made / "tables")
    return made


def pipeline(folder: Path, snapshots: dict[str, Any] | None) -> Pipeline:
    data = timed_pipeline(folder / "tables", folder / "run", "node_classification")
    data["graph"]["path"] = str(folder / "graph")
    data["task"]["snapshots"] = snapshots
    data["train"] |= {"batch_size": 16, "epochs": 6, "checkpoint": {"every_steps": 1}}
    config = build_pipeline(data).with_absolute_paths(folder)
    run_pipeline(config, ["construct"], reporter=QUIET)
    return config


def test_rows_by_their_times(folder: Path) -> None:
    """Items appear within 50 days: five snapshots of ten days, counted from the first training row's."""
    experiment = build_experiment(pipeline(folder, {"width": "10d", "epochs": 2}), QUIET)
    task, rows = experiment.task, experiment.task.rows("train")
    stream = task.stream(16, 0)
    assert isinstance(stream, SnapshotSeedStream)
    assert sorted(stream.ids.tolist()) == sorted(rows.tolist())
    first, day = times_of(experiment.graph, "item", rows).min(), 86_400_000_000
    for epoch in range(12):
        number = min(epoch // 2, 4)
        order = stream.epoch_order(epoch)
        times = times_of(experiment.graph, "item", order[order >= 0])
        assert ((times - first) // (10 * day) == number).all()
    last = build_experiment(pipeline(folder, {"width": "10d", "latest": 1}), QUIET).task.stream(16, 0)
    assert sorted(last.ids.tolist()) == sorted(set(stream.epoch_order(10).tolist()) - {-1})
    assert type(build_experiment(pipeline(folder, None), QUIET).task.stream(16, 0)) is SeedStream


def test_resumed_is_uninterrupted(folder: Path, tmp_path: Path) -> None:
    config = pipeline(folder, {"width": "20d", "epochs": 2})
    train(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(config, tmp_path / "broken", losses(tmp_path / "whole")[-1][1] // 2)
    train(config, tmp_path / "broken")
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


def test_pseudo_labels_are_of_all_times(folder: Path) -> None:
    data = timed_pipeline(folder / "tables", folder / "run", "node_classification", at="end")
    data["task"]["snapshots"] = {"width": "10d"}
    data["train"]["strategy"] = "glem"
    with pytest.raises(ConfigError, match=r"must be another strategy than glem with task\.snapshots"):
        build_pipeline(data)


@pytest.mark.parametrize(
    ("width", "time", "said"),
    [
        (10, "born", r"task\.snapshots\.width: must be a time such as 30d \(got 10\)"),
        ("10d", None, r"task\.snapshots: must be left out: graph\.nodes\.item has no time"),
    ],
)
def test_what_is_refused(folder: Path, width: Any, time: Any, said: str) -> None:
    data = timed_pipeline(folder / "tables", folder / "run", "node_classification", at="end")
    data["graph"]["nodes"]["item"]["time"] = time
    data["task"]["snapshots"] = {"width": width}
    with pytest.raises(ConfigError, match=said):
        build_pipeline(data)
