"""On a machine with a GPU (make test-gpu): parity with the CPU, bfloat16, copies that overlap, NCCL, the command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from graphstorm_like.config import Pipeline
from graphstorm_like.launch.process import GSL
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import map_tensors
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.sampling.on_device import on_device
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.ranks import free_ports
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer

pytestmark = pytest.mark.gpu
TASKS = ("node_classification", "link_prediction", "edge_regression")


def losses(config: Pipeline, folder: Path) -> list[float]:
    quiet = Reporter(quiet=True)
    Trainer(build_experiment(config, quiet), folder, quiet).train()
    return [record["loss"] for record in read_metrics(folder) if record["kind"] == "train"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 5e-2)])
def test_losses_are_those_of_the_cpu(
    shop_config: Callable[..., Pipeline], tmp_path: Path, task: str, precision: str, tolerance: float
) -> None:
    common = {"epochs": 2, "track": {"every_steps": 1}}
    model = {"gnn": {"type": "rgcn", "dropout": 0.0}}
    on_cpu = shop_config(task, model=model, train={**common, "device": "cpu", "precision": "float32"})
    on_gpu = shop_config(task, model=model, train={**common, "device": "cuda", "precision": precision})
    expected, found = losses(on_cpu, tmp_path / "cpu"), losses(on_gpu, tmp_path / "gpu")
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_copies_ahead_are_the_batches(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """While the stream that computes is kept busy."""
    experiment = build_experiment(shop_config(train={"device": "cpu", "batch_size": 16}), Reporter(quiet=True))
    trainer = Trainer(experiment, tmp_path, Reporter(quiet=True))
    expected = list(epoch_batches(trainer.batches, trainer.stream, 0))
    device, busy = torch.device("cuda", 0), torch.rand(2048, 2048, device="cuda")
    count = 0
    for there, here in zip(on_device(iter(expected), device), expected, strict=True):
        for _ in range(10):
            busy = busy @ busy / busy.norm()
        pairs: list[torch.Tensor] = []
        map_tensors(here, lambda t, pairs=pairs: pairs.append(t) or t)
        moved: list[torch.Tensor] = []
        map_tensors(there, lambda t, moved=moved: moved.append(t) or t)
        assert all(t.device.type == "cuda" for t in moved)
        assert all(torch.equal(a, b.cpu()) for a, b in zip(pairs, moved, strict=True))
        count += 1
    assert count > 2


def test_nccl() -> None:
    """Of one process: two may not share a GPU."""
    (port,) = free_ports(1)
    dist.init_process_group("cpu:gloo,cuda:nccl", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        numbers = torch.arange(5.0, device="cuda")
        dist.all_reduce(numbers)
        assert numbers.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    finally:
        dist.destroy_process_group()


def test_the_command(tmp_path: Path) -> None:
    command = [*GSL, "bench", "gpu", str(write_shop_pipeline(tmp_path)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    on_cpu, on_gpu, _ = json.loads(done.stdout)
    assert on_cpu["gpu_bytes"] is None
    assert on_gpu["gpu_bytes"] > 0
