"""`launch:` four ways, one common part; every launcher refuses what means nothing to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.config.launchers.local import LocalLaunchConfig

from .conftest import good_text

NODE = good_text("link")


@pytest.mark.parametrize("text", ["{threads: 2}", "{on: local, threads: 2}", "{threads: 2, hosts: 1}"])
def test_local_unless_said(load: Callable[..., Pipeline], text: str) -> None:
    assert load(NODE + f"launch: {text}\n").launch == LocalLaunchConfig(threads=2)


def test_each_launcher(load: Callable[..., Pipeline]) -> None:
    common = "hosts: 2, trainers: 4, servers: 2, max_restarts: 3, timeout_seconds: 30.0, wire: int8, hot_rows_mb: 0"
    for on, more in {
        "local": "port: 4000",
        "ray": "cpus: 2.0, gpus: 1.0, spread: false, address: local",
        "slurm": "partition: gpu, account: me, time: '04:00:00', sbatch: ['--mem=0'], setup: ['module load cuda']",
        "external": "addresses: [10.0.0.1, 10.0.0.2], port: 5000",
    }.items():
        launch = load(NODE + f"launch: {{on: {on}, {common}, {more}}}\n", "graph.partitions.count=2").launch
        assert (launch.on, launch.hosts, launch.trainers, launch.servers, launch.max_restarts) == (on, 2, 4, 2, 3)
        assert (launch.wire, launch.hot_rows_mb) == ("int8", 0)


def test_a_partition_a_host(load: Callable[..., Pipeline], problems: Callable[..., list[str]]) -> None:
    (problem,) = problems(NODE + "launch: {hosts: 3}\n")
    assert "launch.hosts: must be graph.partitions.count, 1 (got 3): each host owns a partition. Set graph." in problem
    assert problems(NODE + "launch: {hosts: 3}\n", "graph.partitions.count=3") == []
    assert problems(NODE, "graph.partitions.count=3") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{on: local, gpus: 1.0}", "launch.gpus: unknown key for on local"),
        ("{on: ray, partition: gpu}", "launch.partition: unknown key for on ray"),
        ("{on: local, hosts: 0}", "launch.hosts: must be greater than 0 (got 0)"),
        ("{on: local, port: 80}", "launch.port: must be at least 1024 (got 80)"),
        (
            "{on: external, hosts: 2, addresses: [10.0.0.1]}",
            "must be one for each of launch.hosts, 2 (got 1)",
        ),
        ("{on: external, addresses: [node1]}", "launch.addresses[0]: must be an IP address (got 'node1')"),
        ('{on: slurm, account: "a\\nrm -rf"}', "launch.account: must be one line each"),
        ("{on: slurm, sbatch: [mem=0]}", "launch.sbatch: must be options of sbatch"),
    ],
)
def test_what_means_nothing_is_refused(problems: Callable[..., list[str]], text: str, says: str) -> None:
    (problem,) = problems(NODE + f"launch: {text}\n")
    assert says in problem
