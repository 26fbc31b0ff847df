"""Without a GPU the command says so and fails; the comparison itself is tested with the CPU in the GPU's place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graphstorm_like.bench import gpu
from graphstorm_like.bench.gpu import Measured, Setting, bench_gpu, why_no_gpu
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.process import GSL
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline

ROOT = Path(__file__).parents[2]
no_gpu = pytest.mark.skipif(not why_no_gpu(), reason="has a GPU")


@no_gpu
def test_without_a_gpu(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    with pytest.raises(LaunchError, match=r"must run on a machine with a GPU \(torch .*\). Nothing was measured"):
        bench_gpu(yaml, [], tmp_path / "gpu", Reporter(quiet=True))
    assert not (tmp_path / "gpu").exists()


@no_gpu
@pytest.mark.slow
def test_the_commands_without_a_gpu(tmp_path: Path) -> None:
    bench = subprocess.run([*GSL, "bench", "gpu", str(write_shop_pipeline(tmp_path))], capture_output=True, check=False)
    assert bench.returncode == LaunchError.exit_code
    assert b"Nothing was measured" in bench.stderr
    tests = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu"]
    done = subprocess.run(tests, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 6
    assert "Nothing was tested" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_comparison(tmp_path: Path) -> None:
    """Equal settings have equal losses; another learning rate's are apart."""
    yaml, cpu = write_shop_pipeline(tmp_path), Setting("CPU", "cpu", "float32", 0.0)
    found = bench_gpu(yaml, ["launch.threads=1"], tmp_path / "gpu", Reporter(quiet=True), [cpu, cpu])
    assert [one.apart for one in found] == [0.0, 0.0]
    assert all(one.is_equal and one.seeds_per_second > 0 and one.gpu_bytes is None for one in found)


def test_a_difference_is_told() -> None:
    records = [{"kind": "train", "epoch": 0, "seeds_per_second": 10.0}, {"kind": "epoch", "epoch": 0, "seconds": 2.0}]
    setting = Setting("GPU, float32", "cuda", "float32", 1e-3)
    near = gpu._measured(setting, records, [1.0, 2.001], [1.0, 2.0])
    far = gpu._measured(setting, records, [1.0, 2.1], [1.0, 2.0])
    assert (near.is_equal, far.is_equal) == (True, False)
    assert far.apart == pytest.approx(0.05)
    nan = gpu._measured(setting, records, [1.0, float("nan")], [1.0, 2.0])
    assert not nan.is_equal
    text = "\n".join(gpu.lines([near, far, Measured(setting, 1.0, 2.0, 3_000_000_000, 0.0)]))
    assert text.count("NOT equal") == 1
    assert "3.00" in text
