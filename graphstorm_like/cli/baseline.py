"""gsl baseline: simple models on the pipeline's own splits."""

from __future__ import annotations

import typer

from graphstorm_like.cli.arguments import Json, Overrides, Quiet, Yaml, print_json


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("baseline")
    def baseline(pipeline: Yaml, overrides: Overrides = None, as_json: Json = False, quiet: Quiet = False) -> None:
        """Simple models on the pipeline's splits, beside its own scores: what a graph network has to beat."""
        from graphstorm_like.baselines.run import run_baselines
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.progress import Reporter

        comparison = run_baselines(load_pipeline(pipeline, overrides or []), Reporter(quiet=quiet or as_json))
        if as_json:
            print_json(comparison.as_json())
            return
        for line in comparison.lines():
            typer.echo(line)
