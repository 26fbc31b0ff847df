"""A training with two numbers, for the test of a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphstorm_like.config.train import TrackConfig
from graphstorm_like.training.trackers import TrackedRun
from graphstorm_like.training.tracking import Tracker


def track(folder: Path, tracker: str | dict[str, Any], updates: range, resume_from: int = 0) -> list[str]:
    """Log `valid/hits@10` of some updates to one tracker; returns what was said."""
    said: list[str] = []
    config = TrackConfig.model_validate({"trackers": [tracker]})
    settings = {"train": {"lr": 0.01, "epochs": 3}, "name": "shop"}
    run = TrackedRun("shop", f"shop/{folder.name}", folder, settings, resume_from)
    numbers = Tracker(folder, resume_from)
    numbers.also(config.trackers, run, said.append)
    for update in updates:
        numbers.log("valid", update, epoch=1, **{"hits@10": update / 10}, note="text is no number")
    numbers.close()
    return said
