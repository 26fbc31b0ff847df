"""Folders appear whole or not at all; old resume points go; what does not fit is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import graphstorm_like.training.checkpoint as checkpoint
from graphstorm_like.errors import TrainingError
from graphstorm_like.training.checkpoint import Checkpoints, TrainState, load_weights, recover, write_folder


def test_keep_and_newest(tmp_path: Path) -> None:
    points, module = Checkpoints(tmp_path / "c", keep=2), nn.Linear(2, 2)
    assert points.load(module) is None
    for update in (1, 5, 12):
        with torch.no_grad():
            module.weight.fill_(update)
        points.save(TrainState(updates=update), module, {"0": {"x": torch.tensor([update])}})
    assert [p.name for p in points.all()] == ["step-000000005", "step-000000012"]
    module.reset_parameters()
    loaded = points.load(module)
    assert loaded is not None
    state, optimizers = loaded
    assert state.updates == 12
    assert optimizers["0"]["x"].item() == 12
    assert (module.weight == 12).all()


def test_a_failed_write_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "best"
    write_folder(target, {"a.json": {"x": 1}})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write_file", full)
    with pytest.raises(
        TrainingError, match=r"best: must be writable .*No space left.*\. Free space or choose another output"
    ):
        write_folder(target, {"a.json": {"x": 2}})
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert '"x": 1' in (target / "a.json").read_text()


def test_recover_after_a_kill_between_the_renames(tmp_path: Path) -> None:
    (tmp_path / ".old-best").mkdir()
    (tmp_path / ".old-best" / "a.json").write_text("old")
    (tmp_path / ".writing-best").mkdir()
    recover(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert (tmp_path / "best" / "a.json").read_text() == "old"


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    write_folder(tmp_path / "m", {"model.safetensors": nn.Linear(2, 3).state_dict()})
    with pytest.raises(TrainingError, match=r"weights must fit the model \(2 do not, e.g. weight, bias\)"):
        load_weights(tmp_path / "m" / "model.safetensors", nn.Linear(2, 4))


@pytest.mark.parametrize("name", ["state.json", "model.safetensors", "optimizer.pt"])
@pytest.mark.parametrize("left", [0, 20])
def test_a_broken_resume_point_falls_back_or_is_named(tmp_path: Path, name: str, left: int) -> None:
    points, module = Checkpoints(tmp_path, keep=2), nn.Linear(2, 2)
    for update in (3, 4):
        points.save(TrainState(updates=update), module, {"0": {"x": torch.ones(2)}})
    for update in (4, 3):
        broken = tmp_path / f"step-00000000{update}" / name
        broken.write_bytes(broken.read_bytes()[:left])
        if update == 4:
            loaded = points.load(module)
            assert loaded is not None
            assert loaded[0].updates == 3
    with pytest.raises(TrainingError, match=r"step-000000004: must be a readable resume point .*--fresh"):
        points.load(module)


def test_a_full_disk_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] unexpected pos")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(TrainingError, match="must be writable"):
        Checkpoints(tmp_path, keep=1).save(TrainState(), nn.Linear(1, 1), {"0": {}})
    assert not list(tmp_path.iterdir())
