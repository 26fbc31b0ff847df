"""gsl schema: the JSON Schema of the pipeline YAML, for editors."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("schema")
    def schema() -> None:
        """Print the JSON Schema of the pipeline YAML (e.g. for an editor's completion)."""
        import json

        from graphstorm_like.config import Pipeline

        typer.echo(json.dumps(Pipeline.model_json_schema(), indent=2))
