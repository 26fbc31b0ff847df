"""`launch.on: local`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.launchers.base import LaunchConfig


class LocalLaunchConfig(LaunchConfig):
    """This machine. More than one host: so many simulated hosts on it."""

    on: Literal["local"] = "local"

    @property
    def in_process(self) -> bool:
        """One trainer on one host is this process."""
        return self.hosts * self.trainers == 1

    @property
    def simulates_hosts(self) -> bool:
        """Every host is a group of processes of this machine."""
        return True

    def host_names(self) -> tuple[str, ...]:
        """All at this machine's own address."""
        return ("127.0.0.1",) * self.hosts
