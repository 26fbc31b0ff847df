"""gsl init: a first pipeline from tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Quiet

Tables = Annotated[
    list[str], typer.Argument(metavar="TABLES...", help="Files, folders, globs or URLs of tables.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("init")
    def init(
        tables: Tables,
        output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")] = Path("pipeline.yaml"),
        target: Annotated[
            str | None,
            typer.Option(help="What to predict: item.category, or user:buys:item.", show_default="the likeliest label"),
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
        quiet: Quiet = False,
    ) -> None:
        """Look at tables and write a pipeline that runs, with the reason for each line."""
        from gconstruct.guess.pipeline import guess_pipeline
        from gconstruct.yaml_text import must_be_free, write_new
        from graphstorm_like.text.folders import installed_model

        must_be_free(output, force)
        guess = guess_pipeline(tables, output, target, installed_model())
        write_new(guess.text, output)
        if not quiet:
            for line in guess.decisions:
                typer.echo(line)
            typer.echo(f"wrote {output}; next: gsl run {output}")
