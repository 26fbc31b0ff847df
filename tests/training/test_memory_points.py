"""Resume points in shared memory: newest whole one of memory or disk, copies in the background, no room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import graphstorm_like.training.checkpoint as checkpoint
from graphstorm_like.errors import TrainingError
from graphstorm_like.testing.ranks import run_ranks
from graphstorm_like.training.checkpoint import Checkpoints, TrainState, check_folder
from graphstorm_like.training.memory_points import FOLDER_VARIABLE, memory_folder


def save(points: Checkpoints, update: int, to_disk: bool) -> nn.Module:
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.fill_(update)
    points.save(TrainState(updates=update), module, {"0": {"x": torch.tensor([update])}}, to_disk=to_disk)
    return module


def loaded_update(points: Checkpoints) -> int:
    module = nn.Linear(2, 2)
    loaded = points.load(module)
    assert loaded is not None
    assert (module.weight == loaded[0].updates).all()
    return loaded[0].updates


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_of_memory_and_disk(tmp_path: Path) -> None:
    disk, memory = tmp_path / "disk", tmp_path / "memory"
    points = Checkpoints(disk, keep=2, memory=memory)
    for update, to_disk in ((1, True), (2, False), (3, True), (4, False), (5, False)):
        save(points, update, to_disk)
    points.settle()
    save(points, 6, False)
    assert names(memory) == ["step-000000006"]
    assert names(disk) == ["step-000000001", "step-000000003"]
    for point in disk.iterdir():
        check_folder(point)
        assert names(point) == ["hashes.json", "model.safetensors", "optimizer.pt", "state.json"]
    assert loaded_update(Checkpoints(disk, keep=2, memory=memory)) == 6
    assert loaded_update(Checkpoints(disk, keep=2)) == 3


def test_a_damaged_point_in_memory_is_passed_over(tmp_path: Path) -> None:
    disk, memory, said = tmp_path / "disk", tmp_path / "memory", list[str]()
    points = Checkpoints(disk, keep=2, memory=memory)
    save(points, 3, True)
    points.settle()
    with (memory / "step-000000003" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    assert loaded_update(Checkpoints(disk, 2, say=said.append, memory=memory)) == 3
    assert len(said) == 1
    assert "step-000000003 is passed over" in said[0]
    points.finish()
    assert not memory.exists()


def test_a_kill_while_memory_is_written_leaves_the_point_before(tmp_path: Path, monkeypatch: Any) -> None:
    points = Checkpoints(tmp_path / "disk", keep=2, memory=tmp_path / "memory")
    save(points, 1, False)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graphstorm_like.training.memory_points.write_hashes", killed)
    with pytest.raises(KeyboardInterrupt):
        save(points, 2, False)
    assert loaded_update(Checkpoints(tmp_path / "disk", keep=2, memory=tmp_path / "memory")) == 1


def test_memory_without_room_leaves_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, memory, said = tmp_path / "disk", tmp_path / "memory", list[str]()
    points, write = Checkpoints(disk, 2, say=said.append, memory=memory), checkpoint._write_file
    assert points.memory is not None

    def full(path: Path, content: Any) -> None:
        if memory in path.parents:
            raise OSError(28, "No space left on device")
        write(path, content)

    points.memory._write = full
    for update, to_disk in ((1, False), (2, True), (3, False)):
        save(points, update, to_disk)
    assert loaded_update(points) == 2
    assert len(said) == 1
    assert "shared memory has no room for a resume point" in said[0]
    assert "No space left" in said[0]


def test_a_copy_that_fails_is_told_at_the_next_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = Checkpoints(tmp_path / "disk", keep=2, memory=tmp_path / "memory")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graphstorm_like.training.memory_points.shutil.copyfile", full)
    save(points, 1, True)
    with pytest.raises(TrainingError, match=r"disk: must be writable .*No space left.*Free space"):
        points.settle()
    assert names(tmp_path / "disk") == []


def test_the_folder_is_that_of_the_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert memory_folder(tmp_path) is None
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    one, other = memory_folder(tmp_path / "a"), memory_folder(tmp_path / "b")
    assert one is not None
    assert one.parent == tmp_path
    assert one != other


OVER_HOSTS = """
import json, os, sys
from pathlib import Path
import torch
from torch import nn
from graphstorm_like.ranks import torch_group
from graphstorm_like.training.checkpoint import Checkpoints, TrainState
from tests.training.test_memory_points import Rows
group = torch_group.start(60.0)
folder = Path(sys.argv[1])
memory = folder / f"memory-{group.host}"
points, module = Checkpoints(folder / "disk", 2, group, print, memory), nn.Linear(2, 2)
rows = Rows(2 * group.rank)
for update, to_disk in ((1, True), (2, False)):
    rows.values.fill_(10 * update + group.rank)
    module.weight.data.fill_(update)
    points.save(TrainState(updates=update), module, {}, [rows], to_disk)
points.settle()
group.barrier("settled")
if group.rank == 0:
    assert sorted(p.name for p in (folder / "disk").iterdir()) == ["step-000000001"]
def found():
    rows.values.zero_()
    state, _ = points.load(module, [rows])
    assert (module.weight == state.updates).all()
    assert (rows.values == 10 * state.updates + group.rank).all()
    return state.updates
newest = found()
group.barrier("read")
if group.rank == 2:  # the second host has lost its memory: all take the newest that each has, which is on disk
    __import__("shutil").rmtree(memory)
group.barrier("removed")
print(json.dumps([newest, found()]))
sys.stdout.flush()
os._exit(0)
"""


class Rows:
    """Two rows of a table, as each rank has them."""

    def __init__(self, start: int) -> None:
        self.start, self.values = start, torch.zeros(2, 3)

    @property
    def file(self) -> str:
        return f"rows-{self.start:012d}.safetensors"

    def state(self, moments: bool) -> dict[str, torch.Tensor]:
        return {"rows": self.values}

    def load(self, folder: Path) -> None:
        from graphstorm_like.inputs.rank_rows import read_rows

        read_rows(folder, "rows", (self.start, self.start + 2), {"rows": self.values}, "rows")


@pytest.mark.slow
@pytest.mark.dist
def test_several_hosts(tmp_path: Path) -> None:
    """Each host has its own memory; on disk there is one folder with the rows of all."""
    outputs = run_ranks(OVER_HOSTS, [str(tmp_path)], 2, 2, tmp_path)
    assert [json.loads(output.splitlines()[-1]) for output in outputs] == [[2, 1]] * 4
    assert len(list((tmp_path / "disk" / "step-000000001").glob("rows-*"))) == 4
