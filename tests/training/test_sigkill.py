"""`gsl run` killed by SIGKILL in the middle of epochs and started again: several tasks at once, a temporal model."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file

from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.times import timed_pipeline, write_timed_shop

from ..tasks.test_multi import TASKS
from .strategies.test_sigkill import gsl

pytestmark = pytest.mark.slow

EPOCHS = 3


def multi_task(folder: Path) -> tuple[dict[str, Any], tuple[int, ...]]:
    """A pipeline, and the updates after which it is killed: while excess risks warm up, and afterwards."""
    data = shop_pipeline(write_shop(folder / "tables"), folder / "run")
    weighting = {"type": "excess_risk", "warmup_epochs": 1, "step_size": 0.1}
    data["task"] = {"type": "multi", "tasks": TASKS, "weighting": weighting}
    data["train"]["batch_size"] = 96
    return data, (5, 15)


def temporal(folder: Path) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The same with times; its only kill is in the second epoch."""
    time = {"encode": "time2vec", "pick": "latest", "window": "30d"}
    data = timed_pipeline(write_timed_shop(folder / "tables"), folder / "run", "link_prediction", **time)
    return data, (15,)


def ends(output: Path) -> dict[str, Any]:
    """All numbers of a run but its seconds: losses and scores, weights, state of the optimizer, predictions."""
    train = output / "train"
    lines = map(json.loads, (train / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    numbers = [{k: v for k, v in line.items() if not k.endswith(("seconds", "_per_second"))} for line in lines]
    last = sorted((train / "checkpoints").glob("step-*"))[-1]
    files = [*last.rglob("*.safetensors"), *(train / "best").rglob("*.safetensors")]
    found: dict[str, Any] = {"steps": [line for line in numbers if line["kind"] == "train"], "last": last.name}
    for file in files:
        found[str(file.relative_to(train))] = {k: (v.shape, v.tobytes()) for k, v in load_file(file).items()}
    for file in sorted((output / "infer" / "predictions").rglob("*.parquet")):
        found[str(file.relative_to(output))] = pq.read_table(file).to_pydict()
    found["scores"] = json.loads((output / "evaluate/metrics.json").read_text(encoding="utf-8"))["test"]
    return found


@pytest.mark.parametrize("make", [multi_task, temporal])
def test_killed_in_the_middle_of_an_epoch(tmp_path: Path, make: Any) -> None:
    data, kills = make(tmp_path)
    data["graph"]["path"] = str(tmp_path / "graph")
    data["train"] |= {"epochs": EPOCHS, "workers": 1, "checkpoint": {"every_steps": 2}}
    data["launch"] = {"threads": 1}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    yaml_file, whole, broken = str(tmp_path / "p.yaml"), tmp_path / "whole", tmp_path / "broken"
    assert gsl("run", [yaml_file, f"output={whole}"]) == 0
    wanted = ends(whole)
    steps = len(wanted["steps"]) // EPOCHS
    for at in kills:
        assert at % steps, "a kill must be inside an epoch"
        assert gsl("run", [yaml_file, f"output={broken}"], f"train:{at}") == -signal.SIGKILL
        points = sorted(path.name for path in (broken / "train/checkpoints").glob("step-*"))
        assert points[-1] == f"step-{at - 1:09d}"  # the update after it is lost
        assert not (broken / "evaluate").exists()
    assert gsl("run", [yaml_file, f"output={broken}"]) == 0
    got = ends(broken)
    assert got.keys() == wanted.keys()
    for name, values in wanted.items():
        assert got[name] == values, name
    assert not list(tmp_path.rglob(".writing-*"))
