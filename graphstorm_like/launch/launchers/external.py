"""The user's own scheduler starts `gsl host` on each machine; nothing is started from here."""

from __future__ import annotations

from collections.abc import Sequence

from graphstorm_like.config.launchers.external import ExternalLaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.launchers.base import LAUNCHERS, Launcher
from graphstorm_like.launch.state import STAGES


@LAUNCHERS.register(ExternalLaunchConfig)
class ExternalLauncher(Launcher):
    """See module."""

    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """Always raises a LaunchError that says what to do."""
        raise LaunchError(
            "launch.on: external is started on each machine. Run there: gsl host PIPELINE --index 0 (1, 2, ...) "
            "--secret-file FILE"
        )
