"""What a tracker does: it takes named numbers by optimizer step, and is closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.registry import Registry

TRACKERS: Registry[type[RunTracker]] = Registry("train.track.trackers", "graphstorm_like.training.trackers")


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker may know of the training whose numbers it gets."""

    project: str
    """The pipeline's name."""
    name: str
    """Of the training: the pipeline's name and the phase's folder."""
    folder: Path
    """Its own files go in here."""
    settings: Mapping[str, Any]
    """The resolved configuration."""
    resume_from: int = 0
    """Optimizer steps that an earlier process has done; numbers of later steps will come again."""


class RunTracker(ABC):
    """One training of one tracker. What goes wrong in it ends the tracking, and not the training."""

    @abstractmethod
    def __init__(self, config: Any, run: TrackedRun) -> None:
        """config: the tracker's own."""

    @abstractmethod
    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """Numbers after an optimizer step, named 'train/loss', 'valid/accuracy' ..."""

    @abstractmethod
    def close(self) -> None:
        """Flush: no more numbers come from this process."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{'train.lr': '0.001', ...}: the leaves of a configuration as text; lists are leaves."""
    leaves: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = str(value)
    return leaves
