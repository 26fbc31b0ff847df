"""gsl report: report.html of a run, again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Json, print_json


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
        plugins: Annotated[bool, typer.Option(help="Let the code of the run's plug-ins run.")] = False,
        as_json: Json = False,
    ) -> None:
        """Make report.html and report.json from what a run has written."""
        from graphstorm_like.config.load import load_pipeline
        from graphstorm_like.launch.mirrored.session import publish_loose
        from graphstorm_like.reports.run_folder import REPORT_JSON, RunFolder
        from graphstorm_like.reports.write import write_report

        folder = RunFolder.of(run, plugins=plugins)
        path = write_report(folder, target)
        if target is None and run.suffix in (".yaml", ".yml"):
            publish_loose(load_pipeline(run), partial(typer.echo, err=True))
        if as_json:
            numbers = folder.path / REPORT_JSON if target is None else path.with_suffix(".json")
            print_json({"page": str(path), "numbers": str(numbers), "scores": folder.scores()})
        else:
            typer.echo(path)
