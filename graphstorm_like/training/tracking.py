"""Numbers of a run: metrics.jsonl, one JSON object a line, always; TensorBoard beside it where configured.

On a resume the lines after the resume point are cut, so the file is that of one uninterrupted run.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphstorm_like.config.train import TrackConfig
from graphstorm_like.errors import MissingExtraError

METRICS_FILE = "metrics.jsonl"


def check_tracking(config: TrackConfig) -> None:
    """Raise MissingExtraError now for a package that would otherwise be missed after hours of embedding."""
    if config.tensorboard and find_spec("tensorboard") is None:
        raise MissingExtraError("train.track.tensorboard", "tensorboard", "track")


class Tracker:
    """Writes to one folder. Every record has `kind` (train, valid, epoch) and `update` (optimizer steps done).

    writes: whether this process is the one of its group that does.
    """

    def __init__(self, folder: Path, tensorboard: bool, resume_from: int = 0, writes: bool = True) -> None:
        self._writes, self._board = writes, None
        if not writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / METRICS_FILE
        self._keep_until(resume_from)
        self._board = _summary_writer(folder / "tensorboard", resume_from) if tensorboard else None

    def _keep_until(self, update: int) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if _update_of(line) <= update]
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        temporary.rename(self._path)

    def log(self, kind: str, update: int, **numbers: Any) -> None:
        """One record."""
        if not self._writes:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "update": update, **numbers}) + "\n")
        if self._board is not None:
            for name, value in numbers.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{kind}/{name}", value, update)

    def close(self) -> None:
        """Flush."""
        if self._board is not None:
            self._board.close()


def _update_of(line: str) -> float:
    """A torn last line (killed while writing) counts as beyond any resume point."""
    try:
        return float(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All records of a run."""
    return [json.loads(line) for line in (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()]


def _summary_writer(folder: Path, resume_from: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("train.track.tensorboard", "tensorboard", "track") from None
    return SummaryWriter(str(folder), purge_step=resume_from + 1 if resume_from else None)
