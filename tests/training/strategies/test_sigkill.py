"""The real thing: `gsl train` killed by SIGKILL inside every phase of a strategy, against one that was left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.training.tracking import read_metrics

pytestmark = pytest.mark.slow

KILLS = """
import os, signal, sys
from graphstorm_like.cli.main import main
from graphstorm_like.training.trainer import Trainer
update, (phase, at) = Trainer.update, os.environ["KILL_AT"].split(":")
def until(self, *rest):
    update(self, *rest)  # a moment later than any resume point: what came after the last one is lost
    if phase in str(self.folder) and self.state.updates == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
Trainer.update = until
main()
"""
"""gsl that kills itself after an update of a phase, wherever its sampler process and its collating thread are."""

PHASES = {
    "joint": ["lm", "gnn", "joint"],
    "glem": ["lm", "gnn", "pseudo", "gnn2"],
    "distill": ["lm", "gnn", "student"],
}


def gsl(command: str, arguments: list[str], kill_at: str = "nothing:0") -> int:
    made = subprocess.run(
        [sys.executable, "-c", KILLS, command, *arguments, "--quiet"],
        env={**os.environ, "KILL_AT": kill_at},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode in (0, -signal.SIGKILL), made.stderr
    return made.returncode


def results(cache: Path, output: Path) -> dict[str, object]:
    """Losses, scores and weights of every phase."""
    found: dict[str, object] = {}
    for phase in [*cache.glob("phase-*"), output / "train"]:
        if not phase.is_dir():
            continue
        name = phase.name.rpartition("-")[0]
        found[name] = [(r["kind"], r["update"], r.get("loss"), r.get("accuracy")) for r in read_metrics(phase)]
        for file in sorted((phase / "best").rglob("*.safetensors")):
            weights = {k: (v.shape, v.tobytes()) for k, v in load_file(file).items()}
            found[f"{name}/{file.relative_to(phase)}"] = weights
    return found


@pytest.mark.parametrize("strategy", PHASES)
def test_killed_inside_every_phase(tmp_path: Path, strategy: str) -> None:
    model = tiny_text_model(tmp_path / "lm")
    yaml = str(write_shop_pipeline(tmp_path, text_model=str(model)))
    types = {name: name.rstrip("2") for name in PHASES[strategy]}
    common = [
        yaml,
        f"train.strategy={strategy}",
        f"train.phases=[{', '.join(f'{{name: {name}, type: {kind}, epochs: 2}}' for name, kind in types.items())}]",
        "train.lm.lr=0.002",
        "train.lm.batch_size=32",
        "train.checkpoint.every_steps=2",
        "train.track.every_steps=1",
        "train.workers=1",
        "launch.threads=1",
        f"graph.path={tmp_path}/graph",
    ]
    assert gsl("construct", common) == 0
    ends = {}
    for name in ("whole", "broken"):
        settings = [*common, f"output={tmp_path}/{name}", f"cache={tmp_path}/cache-{name}"]
        if name == "broken":
            for phase in PHASES[strategy]:
                folder = "train" if phase == PHASES[strategy][-1] else f"phase-{phase}-"
                for at in (3, 7):
                    assert gsl("train", settings, f"{folder}:{at}") == -signal.SIGKILL
        assert gsl("train", settings) == 0
        ends[name] = results(tmp_path / f"cache-{name}", tmp_path / name)
    assert ends["whole"].keys() == ends["broken"].keys()
    *_, last = types
    cached = {f"phase-{name}" for name, kind in types.items() if name != last or kind != "gnn"}
    assert {name for name in ends["whole"] if "/" not in name} == {"", *cached}
    if f"phase-{last}" in cached:
        assert ends["whole"][f"phase-{last}"] == ends["whole"][""]
    for name, values in ends["whole"].items():
        assert values == ends["broken"][name], name
    assert not list(tmp_path.rglob(".writing-*"))
