"""The folders of a run that are published, each by itself: when there is something to publish, and its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from graphstorm_like.files import HASHES_FILE, read_hashes, read_object
from graphstorm_like.graph.schema import MANIFEST
from graphstorm_like.launch.state import BEST, DONE_FILE, FINGERPRINT_FILE
from graphstorm_like.mirror.publish import Target
from graphstorm_like.mirror.snapshot import Changed, View, is_hidden
from graphstorm_like.mirror.transfer import Store
from graphstorm_like.mirror.watch import Unit
from graphstorm_like.training.kept import KEPT, listed_by
from graphstorm_like.training.start_run import PHASE_DONE

CHECKPOINTS, STEPS = "checkpoints", "step-*"


def run_units(output: Path, store: Store) -> Iterator[Unit]:
    """The stages of a run but construct. Trainings that were set aside come first: until they are published under their
    new names, their objects stay where they were."""
    aside = [path for path in output.glob("train.*") if path.suffix[1:].isdigit()]
    for folder in sorted(aside, key=lambda path: -int(path.suffix[1:])):
        yield _training(folder, Target(store, folder.name))
    yield _training(output / "train", Target(store, "train"))
    for stage in ("evaluate", "infer"):
        yield _whole(output / stage, Target(store, stage), DONE_FILE)


def graph_unit(folder: Path, target: Target, alone: Callable[[], AbstractContextManager[object]] = nullcontext) -> Unit:
    """A graph folder."""
    return replace(_whole(folder, target, MANIFEST), alone=alone)


def cache_units(cache: Path, store: Store, prefix: str, shared: bool, phases: bool = True) -> Iterator[Unit]:
    """The entries of a cache that are complete; of one that is this run's alone also phases that train. phases: whether
    this host publishes those."""
    for folder in sorted(cache.iterdir()) if cache.is_dir() else ():
        if is_hidden(folder.name) or not folder.is_dir():
            continue
        target = Target(store, f"{prefix}{folder.name}", shared=shared)
        if (folder / "meta.json").is_file():
            complete = (read_object(folder / "meta.json") or {}).get("complete", True)
            unit = _whole(folder, target, "meta.json")
            yield unit if complete else replace(unit, state=None)
        elif phases and ((folder / PHASE_DONE).is_file() or not shared):
            yield _training(folder, target)


def loose_unit(output: Path, store: Store) -> Unit:
    """Files at the top of the output, such as reports, and the logs."""
    target = Target(store, "", owned=False)
    return Unit(output, target, _state_of(_loose_files(output)), partial(_gather_loose, output))


def _loose_files(output: Path) -> list[Path]:
    if not output.is_dir():
        return []
    top = [path for path in output.iterdir() if path.is_file() and not is_hidden(path.name)]
    return sorted([*top, *(path for path in (output / "logs").rglob("*.log"))])


def _gather_loose(output: Path, view: View) -> None:
    for path in _loose_files(output):
        view.copy(path, path.relative_to(output).as_posix())


def _state_of(paths: list[Path]) -> Hashable | None:
    facts = []
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        facts.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(facts) or None


# --------------------------------------------------------------------------------------------------- finished folders


def _whole(folder: Path, target: Target, mark: str) -> Unit:
    """A folder that is complete once the file `mark` is there."""
    files = _files(folder) if (folder / mark).is_file() else []
    return Unit(folder, target, _state_of(files), partial(_gather_whole, folder, mark), partial(_check_named, mark))


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not is_hidden(p.name))


def _gather_whole(folder: Path, mark: str, view: View) -> None:
    inode = _inode(folder)
    view.copy(folder / mark, mark)
    for path in _files(folder):
        if path.name != mark or path.parent != folder:
            view.hold(path, path.relative_to(folder).as_posix())
    if mark not in view.files or _inode(folder) != inode or not (folder / mark).is_file():
        raise Changed(str(folder))


def _check_named(mark: str, view: View) -> None:
    """All files that the mark names must be in the view, with their sizes. A disk that fails hides names without an
    error, and a pull leaves files in the store: what is published must not lack them."""
    content = read_object(view.files[mark])
    if content is None:
        raise Changed(mark)
    sizes: dict[str, int | None] = dict.fromkeys(content.get("hashes") or ())
    for name, record in (content.get("files") or {}).items():
        sizes[name] = record[0]
    for name, size in sizes.items():
        if is_hidden(name.rpartition("/")[2]):
            continue  # work in progress of that time
        if name not in view.files or size not in (None, view.files[name].stat().st_size):
            raise Changed(name)


# ---------------------------------------------------------------------------------------------------------- trainings


def _training(folder: Path, target: Target) -> Unit:
    """A training, finished or not: its resume points, the best model, and what is small."""
    done = any((folder / name).is_file() for name in (DONE_FILE, PHASE_DONE))
    points = [path.name for path in _points(folder)]
    state: Hashable | None = None
    if points or done:
        marks = _state_of([folder / name for name in (DONE_FILE, PHASE_DONE, FINGERPRINT_FILE)])
        kept = tuple(path.name for path in _kept(folder))
        state = (_inode(folder), tuple(points), marks, _inode(folder / BEST), kept)
    return Unit(folder, target, state, partial(_gather_training, folder), final=done)


def _points(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / CHECKPOINTS).glob(STEPS) if (path / HASHES_FILE).is_file())


def _kept(folder: Path) -> list[Path]:
    """Models beside the best that are whole."""
    return sorted(path for path in (folder / KEPT).glob("update-*") if (path / HASHES_FILE).is_file())


def _gather_training(folder: Path, view: View) -> None:
    """In the order in which a training writes them, but from the last to the first: what says that something is there
    is taken before it. The best model may be newer than the resume point, as after a kill."""
    inode = _inode(folder)
    small = [path for path in folder.glob("*.json") if not is_hidden(path.name)]
    for path in small:
        view.copy(path, path.name)
    for point in _points(folder):
        try:
            view.link(point, f"{CHECKPOINTS}/{point.name}")
        except Changed:
            if point.exists():
                raise
            view.drop(f"{CHECKPOINTS}/{point.name}")  # it was the oldest, and has just been removed
    for model in _kept(folder):
        try:
            view.link(model, f"{KEPT}/{model.name}")
            _check_whole(view, f"{KEPT}/{model.name}")
        except Changed:
            if model.exists():
                raise
            view.drop(f"{KEPT}/{model.name}")  # a better one has just taken its place
    _check_listed(view)
    if (folder / BEST).is_dir():
        view.link(folder / BEST, BEST)
        _check_whole(view, BEST)
    for path in [*folder.glob("*.jsonl"), *(folder / "tensorboard").rglob("*")]:
        if path.is_file():
            view.copy(path, path.relative_to(folder).as_posix())
    if _inode(folder) != inode or inode is None:
        raise Changed(str(folder))


def _check_listed(view: View) -> None:
    """The newest resume point must have the models that it lists; they go when there is a newer one."""
    points = [name for name in view.files if name.startswith(f"{CHECKPOINTS}/")]
    if not points:
        return
    for model in listed_by(view.folder / CHECKPOINTS / Path(max(points)).parts[1]):
        if f"{model['folder']}/{HASHES_FILE}" not in view.files:
            raise Changed(model["folder"])


def _check_whole(view: View, name: str) -> None:
    """The folder must have all that its hashes.json names; language models come into it, and are named, at the end."""
    if f"{name}/{HASHES_FILE}" not in view.files:
        return
    try:
        named = read_hashes(view.folder / name)
    except (OSError, json.JSONDecodeError):
        raise Changed(name) from None
    if any(f"{name}/{file}" not in view.files for file in named):
        raise Changed(name)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns if path.name == BEST else 0
