"""gsl sweep with real processes: shared graph and cache, a run that fails, a kill, and going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.sweep import plan, sweep
from graphstorm_like.reports.sweep_plan import grid, parse_axes
from graphstorm_like.testing.graphs import shop_pipeline

RATES = ("0.01", "0.02", "1e+38")
"""The last one ends in numbers that are not finite."""


@pytest.fixture
def pipeline(shop: tuple[Path, Path], tmp_path: Path) -> Path:
    data = shop_pipeline(shop[0], tmp_path / "run")
    data["train"] |= {"epochs": 16, "early_stop": None, "checkpoint": {"every_steps": 4}}
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_runs_share_graph_and_cache_but_where_the_graph_differs(pipeline: Path, tmp_path: Path) -> None:
    def planned(*texts: str) -> list[tuple[str, str, str]]:
        axes = parse_axes(texts)
        runs = plan(pipeline, axes, grid(axes), tmp_path / "s", 1)
        return [(run.pipeline.output, run.pipeline.cache, str(run.pipeline.graph.path)) for run in runs]

    one, two = planned("train.lr=0.01,0.02")
    assert one == (f"{tmp_path}/s/runs/lr=0.01", f"{tmp_path}/s/cache", f"{tmp_path}/s/graph")
    assert two == (f"{tmp_path}/s/runs/lr=0.02", *one[1:])
    price = "graph.nodes.item.features.price.log1p"
    graphs = [graph for _, _, graph in planned(f"{price}=true,false", "train.lr=0.01,0.02")]
    assert graphs[0] == graphs[1] != graphs[2] == graphs[3]
    assert {graph for _, _, graph in planned("graph.path=mine", "train.lr=0.01,0.02")} == {f"{tmp_path}/mine"}
    assert {cache for _, cache, _ in planned("cache=kept", "train.lr=0.01,0.02")} == {f"{tmp_path}/kept"}


def test_all_mistakes_are_told_before_a_run_starts(pipeline: Path, tmp_path: Path) -> None:
    axes = parse_axes(["train.lr=-1,0.1", "train.epoch=1"])
    with pytest.raises(ConfigError) as error:
        plan(pipeline, axes, grid(axes), tmp_path / "s", 1)
    assert len(error.value.problems) == 3
    assert error.value.problems[0].startswith("lr=-1: ")
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.dist
def test_a_killed_sweep_goes_on_and_a_failed_run_stops_no_other(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sweep"
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "sweep", str(pipeline)]
    command += [f"train.lr={','.join(RATES)}", "--processes", "2", "--no-infer", "-o", str(folder)]
    first = folder / "runs" / f"lr={RATES[0]}"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        wait_for(lambda: any((first / "train" / "checkpoints").glob("step-*")), 120)
        children = children_of(killed.pid)
        killed.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(alive(child) for child in children), 10)
    assert not (first / "train" / "done.json").exists(), "killed in the middle"

    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert list(answer["failed"]) == ["lr=1e+38"]
    assert "loss and gradients must be finite" in answer["failed"]["lr=1e+38"]
    names = [run["name"] for run in answer["runs"]]
    assert names == ["lr=0.01", "lr=0.02"]
    by_validation = {run["name"]: run["scores"]["valid"]["accuracy"]["value"] for run in answer["runs"]}
    assert by_validation[answer["best"]] == max(by_validation.values())
    assert "resuming at epoch" in (folder / "logs" / f"lr={RATES[0]}.log").read_text()
    assert "Sweep of pipeline.yaml" in (folder / "compare.html").read_text()

    alone = load_pipeline(pipeline, [f"train.lr={RATES[0]}", f"output={tmp_path}/alone", f"graph.path={folder}/graph"])
    run_pipeline(alone, ["construct", "train", "evaluate"], reporter=Reporter(quiet=True))
    assert RunFolder(tmp_path / "alone").scores() == RunFolder(first).scores(), "the same bits as without a kill"

    axes, said = parse_axes([f"train.lr={','.join(RATES[:2])}"]), Reporter(quiet=True)
    lines: list[str] = []
    monkeypatch.setattr(said, "line", lines.append)
    again = sweep(pipeline, plan(pipeline, axes, grid(axes), folder, 2), folder, 2, False, said)
    assert [line.partition(" (")[0] for line in lines if line.startswith("lr=")] == [
        "lr=0.01: up to date",
        "lr=0.02: up to date",
    ], "a sweep with fewer values finds its runs, and starts none"
    assert again.comparison is not None
    assert again.comparison.best == answer["best"]


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def children_of(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
