"""`launch.on: ray`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat
from graphstorm_like.config.launchers.base import LaunchConfig


class RayLaunchConfig(LaunchConfig):
    """A Ray cluster."""

    on: Literal["ray"]
    address: str = "auto"
    """Of the cluster; local: a new one in this machine's memory."""
    cpus: PositiveFloat = 1.0
    """CPUs that Ray reserves for a trainer."""
    gpus: NonNegativeFloat = 0.0
    """GPUs that Ray reserves for a trainer."""
    spread: bool = True
    """Each host on a node of its own; false: where Ray places them."""
