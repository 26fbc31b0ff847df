"""Faults against a tiny job: what is counted, what is refused, and one campaign whose weights are those undisturbed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from graphstorm_like.bench import campaign
from graphstorm_like.bench.campaign import Plan, Result, Strike, bench_faults, last_update
from graphstorm_like.bench.faults import FAULTS
from graphstorm_like.errors import ConfigError, LaunchError
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline

TWO_HOSTS = ["launch.hosts=2", "graph.partitions.count=2", "launch.threads=1"]


def test_goodput_and_recovery_times() -> None:
    result = Result("own", 600, 90.0, 120.0, skipped={"packets lost": "needs root"})
    result.strikes = [Strike("trainer killed", 4.0), Strike("trainer killed", 8.0), Strike("disk full", None)]
    assert result.goodput == pytest.approx(0.75)
    lines = "\n".join(result.lines())
    assert "trainer killed" in lines
    assert lines.splitlines()[1].split()[-3:] == ["2", "6.0", "8.0"]
    assert "skipped: packets lost: needs root" in lines
    assert "with 3 faults, 1.5 a minute" in lines
    assert "goodput: 75.0 % of fault-free steps" in lines
    assert "final weights: NOT equal" in lines
    assert result.as_json()["goodput"] == result.goodput


def test_what_is_refused(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)

    def run(*overrides: str, names: tuple[str, ...] = ()) -> None:
        bench_faults(Plan(yaml, overrides, tmp_path / "faults", names=names), Reporter(quiet=True))

    with pytest.raises(ConfigError, match="must start several processes on this machine"):
        run()
    with pytest.raises(ConfigError, match="--fault: must be of trainer killed, .*got 'flood'"):
        run(*TWO_HOSTS, names=("flood",))
    with pytest.raises(LaunchError, match=r"must leave a kind .*train.workers: 0 has no sampler processes"):
        run(*TWO_HOSTS, names=("sampler killed",))
    with pytest.raises(LaunchError, match="a job of one host has no servers"):
        run("launch.trainers=2", names=("server killed",))
    assert not (tmp_path / "faults").exists()
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "mine.txt").write_text("precious")
    with pytest.raises(LaunchError, match="must be empty, or of an earlier benchmark"):
        run(*TWO_HOSTS)
    assert (tmp_path / "faults" / "mine.txt").read_text() == "precious"
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_last_update_of_a_torn_file(tmp_path: Path) -> None:
    assert last_update(tmp_path) == 0
    (tmp_path / "train").mkdir()
    lines = "".join(json.dumps({"kind": "train", "update": update}) + "\n" for update in range(1, 400))
    (tmp_path / "train" / "metrics.jsonl").write_text(lines + '{"kind": "tra')
    assert last_update(tmp_path) == 399


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize(
    ("names", "changes"),
    [
        (("trainer killed", "launcher killed", "trainer deadlocked with the GIL"), []),
        pytest.param(
            ("server killed",),
            ["launch.store=dgl", "launch.dgl.trusted_network=true"],
            marks=[
                pytest.mark.dgl,
                pytest.mark.skipif(importlib.util.find_spec("dgl") is None, reason="needs dgl"),
            ],
        ),
    ],
    ids=["own", "dgl"],
)
def test_a_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], changes: list[str]
) -> None:
    """A death, a launcher's death and a deadlock that holds the GIL: training ends with the same bytes. So it does
    after the death of a server of DGL's, whose draws begin from our seeds."""
    monkeypatch.setattr(campaign.random.Random, "sample", lambda _self, faults, _count: list(faults))
    plan = Plan(
        write_shop_pipeline(tmp_path), [*TWO_HOSTS, "train.checkpoint.memory_steps=1", *changes], tmp_path / "faults",
        per_minute=60.0, epochs=8 * len(names), names=names, timeout_seconds=15.0, most=len(names),
    )  # fmt: skip
    result = bench_faults(plan, Reporter(quiet=True))
    assert result.equal
    assert [strike.fault for strike in result.strikes] == [fault.name for fault in FAULTS if fault.name in names][::-1]
    assert all(strike.recovered is None or strike.recovered > 1.0 for strike in result.strikes)
    assert result.goodput > 0.0
    assert result.steps == 5 * plan.epochs
