"""gsl report: report.html of a run, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("report")
    def report(
        run: Annotated[
            Path, typer.Argument(metavar="RUN|PIPELINE", help="A run's output folder, or its YAML.", show_default=False)
        ],
        target: Annotated[
            Path | None, typer.Option("--output", "-o", help="The page's file; its numbers go beside it.")
        ] = None,
    ) -> None:
        """Make report.html and report.json from what a run has written."""
        from graphstorm_like.reports.run_folder import RunFolder
        from graphstorm_like.reports.write import write_report

        typer.echo(write_report(RunFolder.of(run), target))
