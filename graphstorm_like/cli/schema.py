"""gsl schema: the keys of the pipeline YAML, for editors (JSON Schema) and for people (Markdown)."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("schema")
    def schema(
        markdown: bool = typer.Option(False, "--markdown", help="Print the reference of all keys as Markdown instead."),
    ) -> None:
        """Print the JSON Schema of the pipeline YAML (e.g. for an editor's completion)."""
        import json

        from graphstorm_like.config import Pipeline
        from graphstorm_like.config.reference import markdown as as_markdown

        json_schema = Pipeline.model_json_schema()
        typer.echo(as_markdown(json_schema).rstrip() if markdown else json.dumps(json_schema, indent=2))
