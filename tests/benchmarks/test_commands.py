"""Every benchmark is a script that runs from anywhere: its command line, and how it says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphstorm_like.testing.graphs import write_shop_pipeline

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
WITH_COMMAND_LINE = ("bench_*.py", "compare_strategies.py", "debian_baselines.py")


def script(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of the folder, as a user does who has the library installed."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, str(FOLDER / name), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({path.name for glob in WITH_COMMAND_LINE for path in FOLDER.glob(glob)}))
def test_help(name: str, tmp_path: Path) -> None:
    if name == "debian_baselines.py":
        pytest.importorskip("sklearn")
    done = script(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


def test_scaling_prints_its_table(tmp_path: Path) -> None:
    done = script("cost_model.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Not measured." in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_epochs_of_a_pipeline(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    done = script("bench_gnn.py", str(yaml), "launch.threads=1", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "train, 1 epochs" in done.stdout


@pytest.mark.slow
@pytest.mark.dist
def test_sampling_over_partitions(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    options = ("--partitions", "1,2", "--method", "random", "--batches", "2")
    done = script("bench_sampling.py", str(yaml), "launch.threads=1", "train.batch_size=8", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 partitions, seeds: own" in done.stdout


def test_mistakes_are_a_line(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("grph: {}\n")
    done = script("bench_lm.py", "p.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
