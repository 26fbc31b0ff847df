"""Weights & Biases: files, or its service.

A resumed training has the same id as before. Offline that makes a second folder, and `wandb sync` joins both; numbers
of steps that the first one has already are left out there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import blake2b

from graphstorm_like.config.trackers import WandbConfig
from graphstorm_like.files import read_object, write_json
from graphstorm_like.training.trackers.base import TRACKERS, RunTracker, TrackedRun

RUN_FILE = "wandb-run.json"


@TRACKERS.register(WandbConfig)
class WandbTracker(RunTracker):
    """Only numbers and the configuration are recorded: neither source code nor packages, host or console."""

    def __init__(self, config: WandbConfig, run: TrackedRun) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing is sent behind the user's back
        import wandb

        earlier = (read_object(run.folder / RUN_FILE) or {}) if run.resume_from else {}
        new_id = blake2b(os.urandom(16), digest_size=8).hexdigest()
        run_id = str(earlier.get("id", new_id))
        write_json(run.folder / RUN_FILE, {"id": run_id, "mode": config.mode})
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
            init_timeout=60,
        )
        self._run = wandb.init(
            mode=config.mode,
            dir=str(run.folder),
            project=config.project or run.project,
            entity=config.entity,
            name=run.name,
            id=run_id,
            resume="allow",
            config=dict(run.settings),
            settings=settings,
        )

    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """See RunTracker."""
        self._run.log(dict(numbers), step=update)

    def close(self) -> None:
        """See RunTracker."""
        self._run.finish()
