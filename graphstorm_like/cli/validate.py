"""gsl validate: check a pipeline without running it."""

from __future__ import annotations

import typer

from graphstorm_like.cli.arguments import Overrides, Yaml


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("validate")
    def validate(
        pipeline: Yaml,
        overrides: Overrides = None,
        resolved: bool = typer.Option(False, "--resolved", help="Print the whole configuration, defaults filled in."),
        tables: bool = typer.Option(
            True, "--tables/--no-tables", help="Also look at the headers of the tables: columns and their types."
        ),
    ) -> None:
        """Check the YAML, and that this machine and the tables have what it names: every problem at once, with line,
        allowed values and nearest spelling."""
        from graphstorm_like.config.load import load_with_origin
        from graphstorm_like.launch.mirrored.places import localised
        from graphstorm_like.launch.preflight import check_all

        checked, origin = load_with_origin(pipeline, overrides or ())
        for notice in check_all(localised(checked), origin, tables):
            typer.echo(notice, err=True)
        if resolved:
            import yaml

            typer.echo(yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False), nl=False)
        else:
            graph = checked.graph
            contents = f"{len(graph.nodes)} node types, {len(graph.edges)} edge types"
            if graph.is_built:
                contents = f"graph folder {graph.path}"
            typer.echo(f"{pipeline}: valid ({contents})")
