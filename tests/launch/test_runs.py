"""Real trainers and servers, started as a user starts them, and killed on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.testing.graphs import write_shop_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.dist]

COMMON = ["train.epochs=8", "train.early_stop=null", "train.checkpoint.every_steps=1", "launch.timeout_seconds=60.0"]
TWO_HOSTS = [*COMMON, "launch.hosts=2", "launch.trainers=1", "graph.partitions.count=2", "launch.max_restarts=1"]


def gsl(yaml: Path, changes: Sequence[str], watch: Callable[[str, int], None] = lambda *_: None) -> tuple[int, str]:
    """Exit status and lines of `gsl run`; `watch` is called with every line and the launcher's process id."""
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "run", str(yaml), *changes]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as launcher:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            said.append(line)
            watch(line, launcher.pid)
    return launcher.returncode, "".join(said)


def children(pid: int) -> dict[str, int]:
    """Process ids of a launcher's children by their name: trainer-<rank>, server-<host>."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        told = dict(e.partition("=")[::2] for e in Path(f"/proc/{child}/environ").read_text().split("\0"))
        found[f"trainer-{told['RANK']}" if "RANK" in told else f"server-{told['GSL_HOST']}"] = int(child)
    return found


def left_over() -> set[str]:
    return {p.name for p in Path("/dev/shm").glob("gsl-shop-*")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    yaml = write_shop_pipeline(folder)
    code, said = gsl(yaml, TWO_HOSTS)
    assert code == 0, said
    assert set(read_scores(load_pipeline(yaml, TWO_HOSTS))) == {"valid", "test"}
    assert pq.read_table(folder / "run" / "infer" / "embeddings" / "item").num_rows == 240
    return folder


@pytest.mark.parametrize("victim", ["trainer-0", "trainer-1", "server-0"])
def test_a_kill_changes_nothing(tmp_path: Path, undisturbed: Path, victim: str) -> None:
    """The job starts again by itself, and ends with the same weights and the same scores."""
    before, killed = left_over(), []

    def kill(line: str, launcher: int) -> None:
        if not killed and re.search(r"epoch 3/8", line):
            killed.append(children(launcher)[victim])
            os.kill(killed[0], signal.SIGKILL)

    yaml = write_shop_pipeline(tmp_path)
    code, said = gsl(yaml, TWO_HOSTS, kill)
    assert code == 0, said
    assert killed
    role, _, number = victim.partition("-")
    assert f"{role} {number} on host {number}: must run to its end, but was killed by SIGKILL" in said
    assert "restarting from the last checkpoint (restart 1 of 1)" in said
    assert said.count("[t0] epoch 1/8") == 1
    for file in ("train/best/model.safetensors", "evaluate/metrics.json"):
        assert (tmp_path / "run" / file).read_bytes() == (undisturbed / "run" / file).read_bytes()
    assert left_over() == before


def test_twice_is_up_to_date(undisturbed: Path) -> None:
    code, said = gsl(undisturbed / "pipeline.yaml", TWO_HOSTS)
    assert (code, said.count("up to date"), "[t0]" in said) == (0, 4, False)
