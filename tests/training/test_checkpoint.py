"""Folders appear whole or not at all; old resume points go; what does not fit is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import graphstorm_like.training.checkpoint as checkpoint
from graphstorm_like.errors import DamagedFileError, TrainingError
from graphstorm_like.files import read_hashes
from graphstorm_like.training.checkpoint import (
    Checkpoints,
    TrainState,
    add_hashes,
    check_folder,
    load_weights,
    recover,
    write_folder,
)


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


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def test_a_flipped_weight_in_a_resume_point_is_not_used(tmp_path: Path) -> None:
    """The file can be read as well as before: only its hash tells."""
    lines: list[str] = []
    points, module = Checkpoints(tmp_path, keep=2, say=lines.append), nn.Linear(2, 2)
    for update in (3, 4):
        points.save(TrainState(updates=update), module, {"0": {"x": torch.ones(2)}})
    flip(tmp_path / "step-000000004" / "model.safetensors")
    loaded = points.load(module)
    assert loaded is not None
    assert loaded[0].updates == 3
    assert [line.split(": ")[0] for line in lines] == ["step-000000004 is passed over"]
    assert "model.safetensors: must hold what was written into it" in lines[0]
    flip(tmp_path / "step-000000003" / "model.safetensors")
    with pytest.raises(TrainingError, match=r"step-000000004: must be a readable resume point .*--fresh"):
        points.load(module)


def test_hashes_cover_folders_within(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text("abcdef")

    write_folder(tmp_path / "best", {"lm": fill, "a.json": {"x": 1}})
    check_folder(tmp_path / "best")
    assert sorted(read_hashes(tmp_path / "best")) == ["a.json", "lm/inner/a.txt"]
    flip(tmp_path / "best" / "lm" / "inner" / "a.txt")
    with pytest.raises(DamagedFileError, match=r"a\.txt: must hold what was written .*--fresh"):
        check_folder(tmp_path / "best")
    (tmp_path / "best" / "hashes.json").write_text("[1]")
    with pytest.raises(DamagedFileError, match=r"hashes\.json: must hold the hashes"):
        check_folder(tmp_path / "best")
    (tmp_path / "best" / "hashes.json").unlink()  # as an older version leaves a folder
    check_folder(tmp_path / "best")


def test_what_comes_into_a_saved_folder_later_is_hashed_too(tmp_path: Path) -> None:
    write_folder(tmp_path / "best", {"a.json": {"x": 1}})
    (tmp_path / "best" / "lm").mkdir()
    (tmp_path / "best" / "lm" / "b.txt").write_text("abcdef")
    add_hashes(tmp_path / "best", "lm")
    flip(tmp_path / "best" / "lm" / "b.txt")
    with pytest.raises(DamagedFileError, match=r"b\.txt"):
        check_folder(tmp_path / "best")


def test_a_full_disk_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] unexpected pos")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(TrainingError, match="must be writable"):
        Checkpoints(tmp_path, keep=1).save(TrainState(), nn.Linear(1, 1), {"0": {}})
    assert not list(tmp_path.iterdir())
