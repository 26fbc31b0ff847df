"""`launch.on: ray`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat, Strict
from graphstorm_like.config.launchers.base import LaunchConfig


class RayJobConfig(Strict):
    """What `gsl launch` sends to a cluster that is addressed by the URL of its dashboard."""

    folder: str | None = None
    """Folder that is sent, without the output folder, and in which the job runs: one in which the pipeline's YAML lies;
    null: the YAML's own."""
    exclude: list[str] = []
    """What else is left out, as in .gitignore: ['*.parquet', '/old/']."""
    pip: list[str] = []
    """Packages to install for the job, as pip takes them: ['sentencepiece==0.2.0']."""
    env: dict[str, str | None] = {}
    """Environment variables of the job's processes; null: the value that the submitting shell has, which is not written
    to any file of the run (HF_TOKEN: null)."""
    follow: bool = True
    """Print the job's output until it ends; false: return once it is submitted."""


class RayLaunchConfig(LaunchConfig):
    """A Ray cluster."""

    on: Literal["ray"]
    address: str = "auto"
    """Of the cluster; local: a new one of this machine alone, on which the hosts are simulated; http://HOST:8265, its
    dashboard: `gsl launch` submits a job there."""
    cpus: PositiveFloat = 1.0
    """CPUs that Ray reserves for a trainer."""
    gpus: NonNegativeFloat = 0.0
    """GPUs that Ray reserves for a trainer."""
    spread: bool = True
    """Each host on a node of its own (with address: local there is one node); false: where Ray places them."""
    job: RayJobConfig = RayJobConfig()
    """Of a job that is submitted to a dashboard."""

    @property
    def elsewhere(self) -> bool:
        """Whether the job is submitted to a dashboard."""
        return self.address.startswith(("http://", "https://"))
