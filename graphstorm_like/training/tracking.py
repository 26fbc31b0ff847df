"""Numbers of a run: metrics.jsonl, one JSON object a line, always; the trackers that are configured beside it.

On a resume the lines after the resume point are cut, so the file is that of one uninterrupted run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphstorm_like.config.trackers import TrackerConfig
from graphstorm_like.config.train import TrackConfig
from graphstorm_like.errors import MissingExtraError
from graphstorm_like.training.trackers import TRACKERS, RunTracker, TrackedRun

METRICS_FILE = "metrics.jsonl"


def missing_trackers(config: TrackConfig) -> Iterator[tuple[str, MissingExtraError]]:
    """(key, error) of every tracker whose package is not installed."""
    for i, tracker in enumerate(config.trackers):
        if tracker.module is not None and find_spec(tracker.module) is None:
            key = f"train.track.trackers[{i}]"
            yield key, MissingExtraError(key, tracker.package, tracker.extra)


def check_tracking(config: TrackConfig) -> None:
    """Raise MissingExtraError now for a package that would otherwise be missed after hours of embedding."""
    for _, error in missing_trackers(config):
        raise error


class Tracker:
    """Writes to one folder. Every record has `kind` (train, valid, epoch) and `update` (optimizer steps done).

    writes: whether this process is the one of its group that does.
    """

    def __init__(self, folder: Path, resume_from: int = 0, writes: bool = True) -> None:
        self._writes = writes
        self._others: dict[str, RunTracker] = {}
        self._say: Callable[[str], None] = print
        if not writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / METRICS_FILE
        self._keep_until(resume_from)

    def _keep_until(self, update: int) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if _update_of(line) <= update]
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        temporary.rename(self._path)

    def also(self, configs: Sequence[TrackerConfig], run: TrackedRun, say: Callable[[str], None]) -> None:
        """Send numbers to these trackers too. One that cannot start, or fails later, is named and left out."""
        self._say = say
        for i, config in enumerate(configs if self._writes else ()):
            name = f"train.track.trackers[{i}] ({config.type})"
            try:
                self._others[name] = TRACKERS.of(config)(config, run)
            except Exception as error:
                self._lost(name, error)

    def log(self, kind: str, update: int, **numbers: Any) -> None:
        """One record."""
        if not self._writes:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "update": update, **numbers}) + "\n")
        scalars = {f"{kind}/{name}": value for name, value in numbers.items() if isinstance(value, int | float)}
        for name, tracker in list(self._others.items()):
            try:
                tracker.log(update, scalars)
            except Exception as error:
                self._lost(name, error)

    def _lost(self, name: str, error: Exception) -> None:
        """Training is worth more than its numbers in a second place, which may fail in any way."""
        self._others.pop(name, None)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        self._say(f"{name}: gets no numbers from here on, and training goes on ({reason[:300]})")

    def close(self) -> None:
        """Flush."""
        for name, tracker in list(self._others.items()):
            try:
                tracker.close()
            except Exception as error:
                self._lost(name, error)
        self._others = {}


def _update_of(line: str) -> float:
    """A torn last line (killed while writing) counts as beyond any resume point."""
    try:
        return float(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All records of a run."""
    return [json.loads(line) for line in (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()]
