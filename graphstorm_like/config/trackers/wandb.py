"""Weights & Biases."""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.trackers.base import TrackerConfig


class WandbConfig(TrackerConfig):
    """A run of Weights & Biases for each phase of training, in `wandb/` beside metrics.jsonl."""

    type: Literal["wandb"]
    mode: Literal["offline", "online"] = "offline"
    """offline: files alone, which `wandb sync` uploads when you wish. online: sent while training; the key is read from
    WANDB_API_KEY."""
    project: str | None = None
    """Of Weights & Biases; default: the pipeline's name."""
    entity: str | None = None
    """The user or team; default: that of the key."""

    module: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"
