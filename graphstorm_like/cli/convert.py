"""gsl convert: configurations of another tool as a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Quiet

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILES...",
        help="GraphStorm's JSON of graph construction, its training YAML, or both.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("convert")
    def convert(
        files: Files,
        output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")] = Path("pipeline.yaml"),
        task: Annotated[
            int | None, typer.Option(help="Which task of a YAML with several, from 1; default: all together.")
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
        quiet: Quiet = False,
    ) -> None:
        """Turn GraphStorm's configuration files into a pipeline, and say what has no counterpart."""
        from gconstruct.convert.convert import convert as converted_from
        from gconstruct.yaml_text import must_be_free, write_new

        must_be_free(output, force)
        converted = converted_from(files, output, task)
        write_new(converted.text, output)
        if not quiet:
            for line in converted.report():
                typer.echo(line)
            typer.echo(f"wrote {output}; next: gsl validate {output}")
