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
from graphstorm_like.training.memory_points import MemoryPoints

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
    recent: list[float] = dataclasses.field(default_factory=list)
    """The last scores, of `early_stop.rule: mean`."""
    kept: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """The best models, the best first: see `training.kept`."""
    validated: int = 0
    """`updates` at the last validation: one that a signal ended is done again."""
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
        if not folder.is_dir():
            raise DataError(f"{folder}: the folder is missing. {_REMEDY}")
        check_saved(folder, _REMEDY)
    except (DataError, OSError) as err:
        raise DamagedFileError(str(err)) from None


class Checkpoints:
    """Numbered resume points in one folder; the newest `keep` stay. The ranks of a group write one together, each its
    rows of the tables, and any number of ranks can resume from it.

    memory: a folder in each host's shared memory (see MemoryPoints), where points are written first; None: only on
    disk. wait_seconds: how long one host waits for the others' parts of a copy.
    """

    def __init__(
        self,
        folder: Path,
        keep: int,
        group: Group = SINGLE_PROCESS,
        say: Callable[[str], None] = lambda _: None,
        memory: Path | None = None,
        wait_seconds: float = 600.0,
    ) -> None:
        self.folder, self.keep, self.group, self.say = folder, keep, group, say
        self.memory: MemoryPoints | None = None
        if memory is not None:
            self.memory = MemoryPoints(memory, folder, group, _write_file, say, wait_seconds)

    def save(
        self,
        state: TrainState,
        modules: nn.Module,
        optimizers: dict[str, object],
        tables: Sequence[RankRows] = (),
        to_disk: bool = True,
    ) -> None:
        """Write a resume point, then drop the oldest. With shared memory it is on disk after `settle`, and without
        `to_disk` in shared memory only."""
        files = {
            MODEL_FILE: modules.state_dict(),
            "optimizer.pt": optimizers,
            "state.json": dataclasses.asdict(state),
        }
        name, parts = f"step-{state.updates:09d}", row_files(tables, moments=True)
        is_kept = self.memory is not None and self.memory.save(name, files, parts)
        if not to_disk:
            return
        if self.memory is not None and is_kept and not self.group.own_outputs:
            self.memory.write_behind(name, self._drop_oldest)
            return
        self.settle()
        write_folder(self.folder / name, files, self.group, parts)
        if self.group.leads_output:
            self._drop_oldest()

    def settle(self) -> None:
        """Wait until what is being written to disk is there. Raises TrainingError."""
        if self.memory is not None:
            self.memory.settle()

    def finish(self) -> None:
        """Training is done: what is on disk suffices."""
        if self.memory is not None:
            self.memory.forget()
            self.group.barrier("writing the last resume point")

    def _drop_oldest(self) -> None:
        for old in self.all()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)

    def all(self) -> list[Path]:
        """Resume points on disk, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def _places(self) -> dict[str, list[Path]]:
        """Resume points by name, oldest first: where this rank finds each, in memory first."""
        found: dict[str, list[Path]] = {}
        for point in [*([] if self.memory is None else self.memory.all()), *self.all()]:
            found.setdefault(point.name, []).append(point)
        return dict(sorted(found.items()))

    def _on_all_hosts(self) -> dict[str, list[Path]]:
        """Of `_places` those that every rank sees: of hosts with folders of their own, one may lack some, and a host
        may have been killed before its memory had the newest."""
        places = self._places()
        seen = [set(json.loads(of_rank)) for of_rank in self.group.collect(json.dumps([*places]), _LOOKING)]
        return {name: found for name, found in places.items() if all(name in of_rank for of_rank in seen)}

    def load(self, modules: nn.Module, tables: Sequence[RankRows] = ()) -> tuple[TrainState, dict[str, Any]] | None:
        """Load the newest resume point into modules and tables; returns its state and optimizer state, or None when
        there is none. All ranks take the newest that each of them can read; `say` gets a line per damaged one."""
        if self.group.leads_output and self.folder.exists():
            recover(self.folder)
        self.group.barrier(_LOOKING)
        broken: BaseException | None = None
        points = self._on_all_hosts()
        for name, places in reversed(points.items()):
            loaded = None
            for point in places:
                try:
                    loaded = _read(point, modules, tables)
                    break
                except (*_UNREADABLE, DamagedFileError) as err:
                    broken = err
                    self.say(f"{name} is passed over: {err}")
            readers = self.group.total(np.array([float(loaded is not None)]), "reading resume points")[0]
            if loaded is not None and readers == self.group.size:
                return loaded
        if not points:
            return None
        raise TrainingError(
            f"{self.folder / [*points][-1]}: must be a readable resume point ({broken}). Start again with --fresh"
        ) from broken


_LOOKING = "looking for resume points"


def _read(point: Path, modules: nn.Module, tables: Sequence[RankRows]) -> tuple[TrainState, dict[str, Any]]:
    check_folder(point)
    state = TrainState(**json.loads((point / "state.json").read_text(encoding="utf-8")))
    optimizers = torch.load(point / "optimizer.pt", weights_only=True)
    load_weights(point / MODEL_FILE, modules)
    for table in tables:
        table.load(point)
    return state, optimizers


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
