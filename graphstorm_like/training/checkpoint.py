"""Resume points and saved models on disk, never half written.

A folder is written under a temporary name, its files are fsynced, then it is renamed. Weights are safetensors;
optimizer state is a torch file that is read with weights_only, so nothing is ever unpickled. hashes.json in a folder
holds the size and hash of its files, which are checked before they are read.
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
_REMEDY = "Copy it again from an intact copy, or train again with --fresh"


@dataclass
class TrainState:
    """How far training is, between two optimizer steps. Everything random derives from these numbers."""

    epoch: int = 0
    step: int = 0
    """Batches done in this epoch."""
    updates: int = 0
    """Optimizer steps done in total."""
    best: float | None = None
    best_epoch: int | None = None
    to_beat: float | None = None
    """The score that the next evaluation must beat by `early_stop.min_delta`, or it counts as a bad one."""
    bad_evaluations: int = 0
    finished: bool = False
    epoch_loss: float = 0.0
    """Sum of losses and weights of the running epoch."""
    epoch_weight: float = 0.0


def write_folder(
    target: Path, files: Mapping[str, Any], group: Group = SINGLE_PROCESS, parts: Mapping[str, Any] | None = None
) -> None:
    """Write files (name -> dict of tensors for .safetensors, anything torch.save takes for .pt, a function that writes
    a folder, else JSON) as `target`. The first rank writes `files`, every rank its `parts`; where hosts have
    output folders of their own, each gets them all.

    An existing target is replaced, and is complete at every moment. Each rank hashes what it has written, about one
    second per GB.
    """
    temporary = target.parent / f"{TEMPORARY}{target.name}"
    written: list[str] = []
    try:
        if group.leads_output:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        if group.rank == 0:
            for name, content in files.items():
                _write_file(temporary / name, content)
            written = files_below(temporary)
        group.barrier(f"writing {target.name}")
        for name, content in (parts or {}).items():
            _write_file(temporary / name, content)
        written += parts or {}
        group.share_files(temporary, written, f"writing {target.name}")
        records = group.collect(json.dumps(record_files(temporary, written)), f"writing {target.name}")
        if group.leads_output:
            hashes: dict[str, Any] = {}
            for of_rank in records:
                hashes |= json.loads(of_rank)
            write_hashes(temporary, hashes)
            replace_folder(temporary, target)
        group.barrier(f"writing {target.name}")
    except (OSError, RuntimeError, SafetensorError) as err:
        if group.leads_output:
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
        with path.open("wb") as file:  # torch's own files do not say why they cannot be written
            torch.save(content, file)
    else:
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    fsync_path(path)


def add_hashes(folder: Path, below: str) -> None:
    """Add the hashes of a folder's files to the saved folder around it, into which they were copied later."""
    records = read_hashes(folder)
    if records:
        names = [f"{below}/{name}" for name in files_below(folder / below)]
        write_hashes(folder, {**records, **record_files(folder, names)})


def check_folder(folder: Path) -> None:
    """Raise DamagedFileError, which names the file, unless the files of a saved folder hold what was written."""
    try:
        check_saved(folder, _REMEDY)
    except (DataError, OSError) as err:
        raise DamagedFileError(str(err)) from None


class Checkpoints:
    """Numbered resume points in one folder; the newest `keep` stay. The ranks of a group write one together, each its
    rows of the tables, and any number of ranks can resume from it."""

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
        if self.group.leads_output:
            for old in self.all()[: -self.keep]:
                shutil.rmtree(old, ignore_errors=True)

    def all(self) -> list[Path]:
        """Resume points, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def _on_all_hosts(self) -> list[Path]:
        """Resume points that every rank sees, oldest first: of hosts with folders of their own, one may lack some."""
        names = json.dumps([point.name for point in self.all()])
        seen = [set(json.loads(of_rank)) for of_rank in self.group.collect(names, "looking for resume points")]
        return [point for point in self.all() if all(point.name in of_rank for of_rank in seen)]

    def load(self, modules: nn.Module, tables: Sequence[RankRows] = ()) -> tuple[TrainState, dict[str, Any]] | None:
        """Load the newest resume point into modules and tables; returns its state and optimizer state, or None when
        there is none. All ranks take the newest that each of them can read; `say` gets a line per damaged one."""
        if self.group.leads_output and self.folder.exists():
            recover(self.folder)
        self.group.barrier("looking for resume points")
        broken: BaseException | None = None
        points = self._on_all_hosts()
        for point in reversed(points):
            loaded = None
            try:
                check_folder(point)
                state = TrainState(**json.loads((point / "state.json").read_text(encoding="utf-8")))
                optimizers = torch.load(point / "optimizer.pt", weights_only=True)
                load_weights(point / MODEL_FILE, modules)
                for table in tables:
                    table.load(point)
                loaded = state, optimizers
            except (*_UNREADABLE, DamagedFileError) as err:
                broken = err
                self.say(f"{point.name} is passed over: {err}")
            readers = self.group.total(np.array([float(loaded is not None)]), "reading resume points")[0]
            if loaded is not None and readers == self.group.size:
                return loaded
        if not points:
            return None
        raise TrainingError(
            f"{points[-1]}: must be a readable resume point ({broken}). Start again with --fresh"
        ) from broken


# What readers raise for a file that is cut short or overwritten.
_UNREADABLE = (OSError, ValueError, TypeError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError)


def load_weights(path: Path, modules: nn.Module) -> None:
    """Read safetensors into modules; TrainingError names the weights that do not fit."""
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as err:
        raise DamagedFileError(f"{path}: must be a whole safetensors file ({err}). Train again with --fresh") from err
    expected = modules.state_dict()
    wrong = [name for name in expected if name not in weights or weights[name].shape != expected[name].shape]
    wrong += [name for name in weights if name not in expected]
    if wrong:
        raise TrainingError(
            f"{path}: weights must fit the model ({len(wrong)} do not, e.g. {', '.join(wrong[:3])}). "
            f"Was the graph or the model section changed since training?"
        )
    modules.load_state_dict(weights, strict=False)  # compared above; frozen language model weights are in no state dict
