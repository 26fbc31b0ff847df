"""Which host is slow, by what; and the whole way through the launcher for simulated hosts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from graphstorm_like.bench.hosts import Comparison, HostNumbers, PairNumbers, measure_here
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.process import GSL
from graphstorm_like.testing.graphs import write_shop_pipeline


def compared(
    gflops: list[float], disk: list[float], slow_wire: int | None = None, offset: float = 0.0, count: int = 3
) -> Comparison:
    hosts = [HostNumbers(i, f"10.0.0.{i + 1}", gflops[i], disk[i]) for i in range(count)]
    pairs = []
    for i in range(count):
        for j in range(count):
            rate, latency = (100.0, 900.0) if slow_wire in (i, j) else (1000.0, 50.0)
            if i != j:
                pairs.append(PairNumbers(i, j, latency, rate, offset if i == 0 and j == 2 else 0.0))
    return Comparison(hosts, pairs)


EVEN = [100.0, 90.0, 110.0]


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (compared(EVEN, EVEN), []),
        (compared([100.0, 40.0, 110.0], EVEN), ["slow: host 1: matmul, GFLOP/s: 40, the others 105"]),
        (compared(EVEN, [100.0, 90.0, 9.0]), ["slow: host 2: disk write, MB/s: 9, the others 95"]),
        (
            compared(EVEN, EVEN, slow_wire=1),
            [
                "slow: host 1: network, MB/s: 100, the others 1,000",
                "slow: host 1: network, messages/s: 1,111, the others 20,000",
            ],
        ),
        (
            compared(EVEN, EVEN, offset=-3.0),
            ["clock: host 2 is -3.0 s beside host 0. Set its time (NTP): logs would mislead"],
        ),
        (compared(EVEN, EVEN, slow_wire=1, count=2), []),
    ],
    ids=["even", "matmul", "disk", "network", "clock", "of two none is slow"],
)  # fmt: skip
def test_the_slow_host_is_named(comparison: Comparison, said: list[str]) -> None:
    assert list(comparison.slow()) == said
    lines = list(comparison.lines())
    assert lines[-max(1, len(said)) :] == (said or ["no host is more than 1.5 times slower than the others"])
    assert lines[0].split() == ["host", "address", "matmul", "GFLOP/s", "disk", "write", "MB/s", "clock", "ahead", "ms"]


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    external = ["launch.on=external", "launch.hosts=2", "graph.partitions.count=2"]
    with pytest.raises(LaunchError, match=r"an address for each of launch.hosts, 2 \(got 1\)"):
        measure_here(load_pipeline(yaml, external), 0, ["10.0.0.1"])
    with pytest.raises(LaunchError, match="must be.*private"):
        measure_here(load_pipeline(yaml, external), 0, ["8.8.8.8", "10.0.0.1"])
    done = subprocess.run([*GSL, "doctor", yaml, "--hosts", *external], capture_output=True, text=True, check=False)
    assert done.returncode == LaunchError.exit_code
    assert "must run on each host for launch.on: external. There: gsl doctor" in done.stderr


@pytest.mark.slow
@pytest.mark.dist
def test_simulated_hosts(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    command = [
        *GSL,
        "doctor",
        yaml,
        "launch.hosts=3",
        "graph.partitions.count=3",
        "launch.threads=1",
        "--hosts",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [host["address"] for host in found["hosts"]] == ["127.0.0.1"] * 3
    assert [(p["source"], p["target"]) for p in found["pairs"]] == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert all(host["gflops"] > 0 and host["disk"] > 0 for host in found["hosts"])
    assert all(pair["rate"] > 0 and abs(pair["offset"]) < 0.5 for pair in found["pairs"])
    assert not list((tmp_path / "run").glob(".gsl-doctor-*"))
