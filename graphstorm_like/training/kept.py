"""`train.keep_best`: the best models of a training, of which `best/` is the first.

train/kept/update-<n>/: one model each, named by the optimizer steps before it; train/kept.json lists them, the best
first: {"metric": name, "models": [{"folder", "epoch", "update", "value"}]}. A folder never changes; `best/` consists of
links to the files of the first. The list in the resume point decides what stays, so that a resumed run ends with the
same models; what a resume point on disk lists is not removed before training is done.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphstorm_like.errors import ConfigError, TrainingError
from graphstorm_like.files import TEMPORARY, fsync_path, read_object, replace_folder, write_json

if TYPE_CHECKING:
    from graphstorm_like.ranks.group import Group

KEPT, KEPT_FILE, BEST_FOLDER = "kept", "kept.json", "best"
_STATE_FILE = "state.json"
"""In a resume point."""


def model_folder(folder: Path, rank: int) -> Path:
    """Of a training in `folder`: the folder of its best model (1), its second best (2) ... ConfigError when it has kept
    fewer."""
    models = (read_object(folder / KEPT_FILE) or {}).get("models", [])
    if rank == 1:
        return folder / BEST_FOLDER
    if rank > len(models):
        raise ConfigError(
            f"infer.kept: must be at most {max(len(models), 1)}, for {folder} has kept no more models (got {rank}). "
            f"Lower it, or train with train.keep_best of at least {rank} and as many validations: more epochs, "
            f"train.evaluate_steps, or train.early_stop: null"
        )
    found: Path = folder / models[rank - 1]["folder"]
    return found


def listed_by(point: Path) -> list[dict[str, Any]]:
    """The models that a resume point lists: folder, epoch, update and value of each."""
    models: list[dict[str, Any]] = (read_object(point / _STATE_FILE) or {}).get("kept", [])
    return models


@dataclass(frozen=True)
class KeptModels:
    """The models of a training in `folder`, at most `most` of them; all ranks call together."""

    folder: Path
    most: int
    group: Group

    def take(
        self,
        kept: list[dict[str, Any]],
        model: dict[str, Any],
        beats: Callable[[float, float], bool],
        save: Callable[[str], None],
    ) -> list[dict[str, Any]]:
        """The list with a model of this moment, which is saved, if it is one of the best; `best/` is the first of them.
        model: update, epoch, value. save: writes the model as a folder below `folder`."""
        at = next((i for i, other in enumerate(kept) if beats(model["value"], other["value"])), len(kept))
        if at >= self.most:
            return kept
        name = f"{KEPT}/update-{model['update']:09d}"
        (self.folder / KEPT).mkdir(parents=True, exist_ok=True)
        save(name)
        if at == 0 and self.group.leads_output:
            self._link_best(self.folder / name)
        self.group.barrier("writing the best model")
        return [*kept[:at], {"folder": name, **model}, *kept[at:]][: self.most]

    def write(self, kept: list[dict[str, Any]], metric: str) -> None:
        """Write the table."""
        if self.group.leads_output:
            write_json(self.folder / KEPT_FILE, {"metric": metric, "models": kept})

    def restore(self, kept: list[dict[str, Any]], metric: str) -> None:
        """Go back to the list of a resume point: `best/` and the table may be of a later moment, which may not come
        again."""
        if kept and self.group.leads_output:
            self._link_best(self.folder / kept[0]["folder"])
            self.write(kept, metric)

    def clean(self, kept: list[dict[str, Any]], points: Iterable[Path]) -> None:
        """Remove the models that neither the list nor one of the resume points lists. The list must be that of the
        newest resume point, which may still be on its way to the disk."""
        if self.most == 1 or not self.group.leads_output:
            return
        listed = list(kept)
        for point in points:
            listed += listed_by(point)
        names = {Path(model["folder"]).name for model in listed}
        for path in (self.folder / KEPT).glob("*"):
            if path.name not in names:
                _remove(path)

    def _link_best(self, model: Path) -> None:
        target = self.folder / BEST_FOLDER
        temporary = self.folder / f"{TEMPORARY}{BEST_FOLDER}"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(model, temporary, copy_function=link_or_copy)
            for path in temporary.rglob("*"):
                fsync_path(path)
            replace_folder(temporary, target)
        except OSError as err:
            raise TrainingError(f"{target}: must be writable ({err}). Free space or choose another output") from err


def _remove(path: Path) -> None:
    """Under another name first: what is half removed must not look like a model."""
    with suppress(OSError):
        if not path.is_dir():
            path.unlink()  # which files of a model were found whole
            return
        if not path.name.startswith(TEMPORARY):
            aside = path.with_name(f"{TEMPORARY}{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path = path.rename(aside)
        shutil.rmtree(path)


def link_or_copy(source: str, target: str) -> None:
    """A second name of a file that is never changed, or a copy."""
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
