"""gsl sweep: one pipeline with many settings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Json, Quiet, Yaml, print_json
from graphstorm_like.cli.run import stopped_by_hand

Values = Annotated[
    list[str],
    typer.Argument(
        metavar="KEY=VALUE,VALUE...",
        help="Values of a key, e.g. train.lr=1e-3,3e-3 model.gnn.layers=1,2; with --random also ranges, 1e-4..1e-2.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("sweep")
    def sweep(
        pipeline: Yaml,
        values: Values,
        count: Annotated[
            int | None, typer.Option("--random", help="So many at random, instead of all combinations.")
        ] = None,
        seed: Annotated[int, typer.Option(help="Of the random choice.")] = 0,
        processes: Annotated[int, typer.Option(min=1, help="Runs at the same time.")] = 1,
        folder: Annotated[
            Path | None, typer.Option("--output", "-o", help="Default: the pipeline's output folder with -sweep.")
        ] = None,
        infer: Annotated[
            bool, typer.Option("--infer/--no-infer", help="Whether runs write embeddings, predictions and a report.")
        ] = True,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        """Run all combinations of values, several at a time, and compare them; goes on where it was stopped."""
        from gconstruct.yaml_text import write_new
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.progress import Reporter
        from graphstorm_like.reports import sweep as sweeping
        from graphstorm_like.reports.compare_page import compare_page
        from graphstorm_like.reports.compare_text import compare_lines
        from graphstorm_like.reports.sweep_plan import draw, grid, parse_axes

        axes = parse_axes(values)
        settings = grid(axes) if count is None else draw(axes, count, seed)
        if folder is None:
            folder = Path(f"{load_pipeline(pipeline).output}-sweep")
        folder = folder.absolute()
        runs = sweeping.plan(pipeline, axes, settings, folder, processes)
        with stopped_by_hand():
            result = sweeping.sweep(pipeline, runs, folder, processes, infer, Reporter(quiet or as_json))
        if result.comparison is not None:
            page = compare_page(result.comparison, f"Sweep of {pipeline.name}", shlex.join(["gsl", *sys.argv[1:]]))
            write_new(page, folder / "compare.html")
        if as_json:
            print_json(result.as_json())
        elif result.comparison is not None and not quiet:
            typer.echo("")
            for line in compare_lines(result.comparison):
                typer.echo(line)
            typer.echo(f"wrote {folder / 'compare.html'}")
        for name, reason in result.failed.items():
            typer.echo(f"failed: {name}: {reason}", err=True)
        if result.failed:
            raise typer.Exit(1)
