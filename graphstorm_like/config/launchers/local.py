"""`launch.on: local`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.launchers.base import LaunchConfig, Port


class LocalLaunchConfig(LaunchConfig):
    """This machine. More than one host: that many are pretended on it."""

    on: Literal["local"] = "local"
    port: Port | None = None
    """First of the ports that are used; default: free ones."""
