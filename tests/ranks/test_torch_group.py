"""Before a group is joined: GPUs are counted, and whoever waits in vain says for whom."""

from __future__ import annotations

import socket

import pytest
import torch

from graphstorm_like.errors import ConfigError, LaunchError
from graphstorm_like.ranks import torch_group
from graphstorm_like.testing.ranks import free_ports


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> int:
    """Environment of rank 1 of 2 on one host; the port of their rendezvous."""
    (port,) = free_ports(1)
    told = {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.delenv("GSL_JOB", raising=False)
    return port


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> list[bool]:
    """Whether groups that are joined use CUDA, on a machine with so many GPUs."""
    used: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch_group, "TorchGroup", lambda seconds, where, cuda: used.append(cuda))
    monkeypatch.setattr(torch_group, "_group", torch_group.SINGLE_PROCESS)
    return used


@pytest.mark.usefixtures("second_of_two")
@pytest.mark.parametrize(("gpus", "device", "cuda"), [(2, "auto", True), (1, "cpu", False), (0, "auto", False)])
def test_a_gpu_for_each_trainer(monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, cuda: bool) -> None:
    used = with_gpus(monkeypatch, gpus)
    torch_group.start(1.0, device)
    assert used == [cuda]


@pytest.mark.usefixtures("second_of_two")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_trainers_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    used = with_gpus(monkeypatch, 1)
    with pytest.raises(ConfigError, match=r"launch.trainers: must be at most the GPUs of the machine, 1 \(got 2"):
        torch_group.start(1.0, device)
    assert used == []


def test_nobody_at_the_rendezvous(second_of_two: int) -> None:
    with pytest.raises(LaunchError, match=r"rank 1 of 2, joining the group: must hear from all ranks within 0\.5 s"):
        torch_group.start(0.5, "cpu")


def test_somebody_else_at_the_rendezvous(second_of_two: int) -> None:
    """Who listens there and says nothing is not waited for longer than another."""
    with (
        socket.create_server(("127.0.0.1", second_of_two)),
        pytest.raises(LaunchError, match=r"rank 1 of 2, joining the group: must hear from all ranks within 2 s"),
    ):
        torch_group.start(2.0, "cpu")
