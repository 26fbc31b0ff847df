"""gsl partition: a graph folder in several partitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Json, Quiet, parse_memory

Options = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="More keys of graph.partitions, e.g. passes=20 or balance=[types,edges].",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("partition")
    def partition(
        source: Annotated[str, typer.Argument(metavar="SOURCE", help="A graph folder or its URL.", show_default=False)],
        target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder to write.", show_default=False)],
        count: Annotated[int, typer.Option(help="Number of partitions.", show_default=False)],
        options: Options = None,
        method: Annotated[str, typer.Option(help="random, hash, range, metis, fennel, ldg, ...")] = "random",
        seed: Annotated[int | None, typer.Option(help="Of the random draws; default: 0.", show_default=False)] = None,
        memory: Annotated[
            int | None,
            typer.Option(
                parser=parse_memory,
                metavar="SIZE",
                help="How much memory rows may take, e.g. 8GB; default: half of what the machine has.",
                show_default=False,
            ),
        ] = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        """Write a graph folder with another number of partitions, and report how they came out; a target that is up to
        date stays."""
        from gconstruct.partition import partition_graph
        from graphstorm_like.config.overrides import apply_override
        from graphstorm_like.mirror.fetch import local_copy
        from graphstorm_like.progress import Reporter

        more: dict[str, object] = {}
        for option in options or ():
            apply_override(more, option)
        reporter = Reporter(quiet or as_json)
        origin = local_copy(source)
        partition_graph(origin, target, count, method, seed, options=more, memory=memory, progress=reporter.line)
        if not quiet:
            echo_partitions(target, as_json)


def echo_partitions(folder: str | Path, as_json: bool) -> None:
    """Print the report of a graph folder's partitions."""
    from graphstorm_like.graph.partition_report import partition_report
    from graphstorm_like.launch.show.partitions import partition_lines

    report = partition_report(folder)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    for line in partition_lines(report):
        typer.echo(line)
