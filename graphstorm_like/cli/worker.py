"""gsl worker: started by launchers, not by people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PipelineFile = Annotated[Path, typer.Option(help="The resolved pipeline, as JSON.")]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("worker", hidden=True)
    def worker(
        pipeline: PipelineFile,
        role: str = typer.Option(..., help="trainer or server."),
        stages: str = typer.Option("", help="Stages, separated by commas."),
        fresh: bool = typer.Option(False, "--fresh"),
        quiet: bool = typer.Option(False, "--quiet"),
    ) -> None:
        """One process of a job."""
        from graphstorm_like.launch.worker import run_worker

        run_worker(role, pipeline, [s for s in stages.split(",") if s], fresh, quiet)
