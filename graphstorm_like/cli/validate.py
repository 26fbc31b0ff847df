"""gsl validate: check a pipeline without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from graphstorm_like.cli.arguments import Json, Overrides, QualityOption, Yaml, print_json, with_quality


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("validate")
    def validate(
        pipeline: Yaml,
        overrides: Overrides = None,
        quality: QualityOption = None,
        resolved: bool = typer.Option(False, "--resolved", help="Print the whole configuration, defaults filled in."),
        tables: bool = typer.Option(
            True, "--tables/--no-tables", help="Also look at the headers of the tables: columns and their types."
        ),
        as_json: Json = False,
    ) -> None:
        """Check the YAML, and that this machine and the tables have what it names: every problem at once, with line,
        allowed values and nearest spelling."""
        from graphstorm_like.config.load import load_with_origin
        from graphstorm_like.launch.mirrored.places import localised
        from graphstorm_like.launch.preflight import check_all

        changes = with_quality(overrides, quality)
        if as_json:
            _as_json(pipeline, changes, tables)
            return
        checked, origin = load_with_origin(pipeline, changes)
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


def _as_json(pipeline: Path, changes: list[str], tables: bool) -> None:
    """The problems are part of the answer; the exit code is that of the error."""
    from graphstorm_like.config.load import load_with_origin
    from graphstorm_like.errors import ConfigError, GslError
    from graphstorm_like.launch.mirrored.places import localised
    from graphstorm_like.launch.preflight import check_all

    answer: dict[str, Any] = {"pipeline": str(pipeline), "valid": True, "problems": [], "notices": []}
    code = 0
    try:
        checked, origin = load_with_origin(pipeline, changes)
        answer["notices"] = list(check_all(localised(checked), origin, tables))
    except GslError as error:
        problems = list(error.problems) if isinstance(error, ConfigError) else [str(error)]
        answer |= {"valid": False, "problems": problems}
        code = error.exit_code
    print_json(answer)
    if code:
        raise typer.Exit(code)
