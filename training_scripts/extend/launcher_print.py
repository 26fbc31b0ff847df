"""A launcher of your own: it prints the command of every process, for you to start them as you like.

plugins: [./launcher_print.py]
launch: { on: print, hosts: 2 }
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.launch.launchers import LAUNCHERS, Launcher
from graphstorm_like.launch.state import STAGES


class PrintLaunchConfig(LaunchConfig):
    """Processes are printed, not started."""

    on: Literal["print"]


@LAUNCHERS.register(PrintLaunchConfig)
class PrintLauncher(Launcher):
    """See module."""

    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """One line a process: where, and its command."""
        for process in self.processes(pipeline, None):
            print(f"{process.address}: {' '.join(process.command)}")
