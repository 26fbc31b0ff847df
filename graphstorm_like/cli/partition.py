"""gsl partition: a graph folder in several partitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Quiet


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("partition")
    def partition(
        source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A graph folder.", show_default=False)],
        target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder to write.", show_default=False)],
        count: Annotated[int, typer.Option(help="Number of partitions.", show_default=False)],
        method: Annotated[str, typer.Option(help="random, or metis (few edges between partitions).")] = "random",
        seed: Annotated[int, typer.Option(help="Of the random partitions, and of METIS.")] = 0,
        quiet: Quiet = False,
    ) -> None:
        """Write a graph folder with another number of partitions; a target that is up to date stays."""
        from gconstruct.partition import partition_graph
        from graphstorm_like.progress import Reporter

        partition_graph(source, target, count, method, seed, progress=Reporter(quiet).line)
