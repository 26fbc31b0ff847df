"""`launch.on: slurm`"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.launchers.base import LaunchConfig, Port


class SlurmLaunchConfig(LaunchConfig):
    """A Slurm cluster: `gsl launch PIPELINE --on slurm` submits a batch script that starts `gsl host` on every node."""

    on: Literal["slurm"]
    partition: str | None = None
    """As sbatch takes it; null: the cluster's default."""
    account: str | None = None
    """As sbatch takes it; null: your default."""
    time: str | None = None
    """Limit, as sbatch takes it: '04:00:00'."""
    sbatch: list[str] = []
    """Further options of sbatch: ['--gpus-per-node=4', '--mem=0']."""
    setup: list[str] = []
    """Shell lines before the job: ['module load cuda', 'source venv/bin/activate']."""
    port: Port = 29_500
    """First of the ports that are used, on every node."""

    @model_validator(mode="after")
    def _one_line_each(self) -> SlurmLaunchConfig:
        for key in ("partition", "account", "time", "sbatch", "setup"):
            value = getattr(self, key)
            for line in value if isinstance(value, list) else [value or ""]:
                if "\n" in line or "\r" in line:
                    raise KeyedError(key, f"must be one line each (got {line!r})")
        for line in self.sbatch:
            if not line.startswith("-"):
                raise KeyedError("sbatch", f"must be options of sbatch, e.g. --gpus-per-node=4 (got '{line}')")
        return self
