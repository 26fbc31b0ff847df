"""gsl compare: runs beside each other."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Json, print_json


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("compare")
    def compare(
        runs: Annotated[
            list[str], typer.Argument(metavar="RUN...", help="Output folders, or pipelines' YAMLs.", show_default=False)
        ],
        target: Annotated[
            Path | None, typer.Option("--output", "-o", help="Also write a page with plots: compare.html.")
        ] = None,
        plugins: Annotated[bool, typer.Option(help="Let the code of the runs' plug-ins run.")] = False,
        as_json: Json = False,
    ) -> None:
        """Scores with intervals, cost, and what differs in the configurations; the best is chosen by validation."""
        from gconstruct.yaml_text import write_new
        from graphstorm_like.reports.compare import compare as compare_runs
        from graphstorm_like.reports.compare_page import compare_page
        from graphstorm_like.reports.compare_text import compare_lines
        from graphstorm_like.reports.run_folder import RunFolder

        comparison = compare_runs([RunFolder.of(run, plugins=plugins) for run in runs])
        if target is not None:
            command = shlex.join(["gsl", "compare", *runs, "-o", str(target)])
            write_new(compare_page(comparison, f"{len(runs)} runs compared", command), target)
        if as_json:
            print_json(comparison.as_json())
            return
        for line in compare_lines(comparison):
            typer.echo(line)
        if target is not None:
            typer.echo(f"wrote {target}")
