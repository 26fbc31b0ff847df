"""Resume points and saved models on disk: whole or not there.

A folder is written under a temporary name, its files are fsynced, then it is renamed. Weights are safetensors;
optimizer state is a torch file that is read with weights_only, so nothing is ever unpickled. hashes.json in a folder
holds size and hash of its files: who reads them checks these first.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graphstorm_like.errors import DamagedFileError, DataError, TrainingError
from graphstorm_like.files import (
    TEMPORARY,
    check_saved,
    files_below,
    fsync_path,
    read_hashes,
    record_files,
    recover,
    replace_folder,
    write_hashes,
)
from graphstorm_like.inputs.rank_rows import RankRows, row_files
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group

MODEL_FILE = "model.safetensors"
_REMEDY = "Copy it anew from where it is whole, or train again with --fresh"


@dataclass
class TrainState:
    """Where training stands, between two optimizer steps. Everything random derives from these numbers."""

    epoch: int = 0
    step: int = 0
    """Batches done in this epoch."""
    updates: int = 0
    """Optimizer steps done in all."""
    best: float | None = None
    best_epoch: int | None = None
    to_beat: float | None = None
    """What the next evaluation must beat by `early_stop.min_delta` not to count as a bad one."""
    bad_evaluations: int = 0
    finished: bool = False
    epoch_loss: float = 0.0
    """Sum of losses and weights of the running epoch."""
    epoch_weight: float = 0.0


def write_folder(
    target: Path, files: Mapping[str, Any], group: Group = SINGLE_PROCESS, parts: Mapping[str, Any] | None = None
) -> None:
    """Write files (name -> dict of tensors for .safetensors, anything torch.save takes for .pt, a function that writes
    a folder, else JSON) as `target`. Of `files` those of the first rank are written, of `parts` every rank's.

    An existing target is replaced; at no moment is there a half one. Each rank hashes what it has written, about a
    second a GB.
    """
    temporary = target.parent / f"{TEMPORARY}{target.name}"
    own: list[str] = []
    try:
        if group.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, content in files.items():
                _write_file(temporary / name, content)
            own = files_below(temporary)
        group.barrier(f"writing {target.name}")
        for name, content in (parts or {}).items():
            _write_file(temporary / name, content)
        own += parts or {}
        records = group.collect(json.dumps(record_files(temporary, own)), f"writing {target.name}")
        if group.rank == 0:
            write_hashes(temporary, {name: each for text in records for name, each in json.loads(text).items()})
            replace_folder(temporary, target)
        group.barrier(f"writing {target.name}")
    except (OSError, RuntimeError, SafetensorError) as err:
        if group.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
        raise TrainingError(f"{target}: must be writable ({err}). Free space or choose another output") from err


def _write_file(path: Path, content: Any) -> None:
    if callable(content):
        path.mkdir()
        content(path)
        for inner in path.rglob("*"):
            fsync_path(inner)
    elif path.suffix == ".safetensors":
        save_file({k: v.detach().cpu().contiguous() for k, v in content.items()}, path)
    elif path.suffix == ".pt":
        torch.save(content, path)
    else:
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    fsync_path(path)


def add_hashes(folder: Path, below: str) -> None:
    """Note the files of a folder within a saved one, which came into it after it had been written."""
    records = read_hashes(folder)
    if records:
        names = [f"{below}/{name}" for name in files_below(folder / below)]
        write_hashes(folder, {**records, **record_files(folder, names)})


def check_folder(folder: Path) -> None:
    """Raise DamagedFileError, which names the file, unless a saved folder's files hold what was written."""
    try:
        check_saved(folder, _REMEDY)
    except (DataError, OSError) as err:
        raise DamagedFileError(str(err)) from None


class Checkpoints:
    """Numbered resume points in one folder; the newest `keep` stay. The ranks of a group write one together, each its
    rows of the tables, and any number of ranks can go on from it."""

    def __init__(
        self, folder: Path, keep: int, group: Group = SINGLE_PROCESS, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder, self.keep, self.group, self.say = folder, keep, group, say

    def save(
        self,
        state: TrainState,
        modules: nn.Module,
        optimizers: dict[str, object],
        tables: Sequence[RankRows] = (),
    ) -> None:
        """Write a resume point, then drop the oldest."""
        files = {
            MODEL_FILE: modules.state_dict(),
            "optimizer.pt": optimizers,
            "state.json": dataclasses.asdict(state),
        }
        write_folder(self.folder / f"step-{state.updates:09d}", files, self.group, row_files(tables, moments=True))
        if self.group.rank == 0:
            for old in self.all()[: -self.keep]:
                shutil.rmtree(old, ignore_errors=True)

    def all(self) -> list[Path]:
        """Resume points, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def load(self, modules: nn.Module, tables: Sequence[RankRows] = ()) -> tuple[TrainState, dict[str, Any]] | None:
        """Put the newest resume point into modules and tables; its state and optimizer state, or None when
        there is none. All ranks take the newest that every one of them can read; `say` is told of damaged ones."""
        if self.group.rank == 0 and self.folder.exists():
            recover(self.folder)
        self.group.barrier("looking for resume points")
        broken: BaseException | None = None
        points = self.all()
        for point in reversed(points):
            found = None
            try:
                check_folder(point)
                state = TrainState(**json.loads((point / "state.json").read_text(encoding="utf-8")))
                optimizers = torch.load(point / "optimizer.pt", weights_only=True)
                load_weights(point / MODEL_FILE, modules)
                for table in tables:
                    table.load(point)
                found = state, optimizers
            except (*_UNREADABLE, DamagedFileError) as err:
                broken = err
                self.say(f"{point.name} is passed over: {err}")
            readers = self.group.total(np.array([float(found is not None)]), "reading resume points")[0]
            if found is not None and readers == self.group.size:
                return found
        if not points:
            return None
        raise TrainingError(
            f"{points[-1]}: must be a readable resume point ({broken}). Start anew with --fresh"
        ) from broken


# What a file that is cut short or overwritten makes the readers raise.
_UNREADABLE = (OSError, ValueError, TypeError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError)


def load_weights(path: Path, modules: nn.Module) -> None:
    """Read safetensors into modules; TrainingError names what does not fit."""
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as err:
        raise DamagedFileError(f"{path}: must be a whole safetensors file ({err}). Train again with --fresh") from err
    own = modules.state_dict()
    wrong = [k for k in own if k not in weights or weights[k].shape != own[k].shape] + [
        k for k in weights if k not in own
    ]
    if wrong:
        raise TrainingError(
            f"{path}: weights must fit the model ({len(wrong)} do not, e.g. {', '.join(wrong[:3])}). "
            f"Was the graph or the model section changed since training?"
        )
    modules.load_state_dict(weights, strict=False)  # compared above; frozen language model weights are in no state dict
