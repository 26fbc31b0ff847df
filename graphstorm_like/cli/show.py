"""gsl show graph|partitions|batch|plan: look inside."""

from __future__ import annotations

import typer

from graphstorm_like.cli.arguments import Json, Overrides, Yaml


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    show = typer.Typer(help="Look inside a graph, a batch or the plan.", no_args_is_help=True)
    app.add_typer(show, name="show")

    @show.command("graph")
    def graph(
        folder: str = typer.Argument(..., metavar="PIPELINE|FOLDER", help="A YAML, a graph folder or its URL."),
        overrides: Overrides = None,
        check: bool = typer.Option(True, "--check/--no-check", help="Check that its files are as they were written."),
        report: bool = typer.Option(False, "--report", help="Write report.html and report.json into the folder."),
    ) -> None:
        """Types, counts, features, labels and splits of a constructed graph."""
        from graphstorm_like.launch.mirrored.reading import graph_folder
        from graphstorm_like.launch.show.graph import remake_report, show_graph

        folder = graph_folder(folder, overrides or (), data=check or report)
        for line in show_graph(folder, check):
            typer.echo(line)
        if report:
            typer.echo(f"\n{remake_report(folder)}")

    @show.command("partitions")
    def partitions(
        folder: str = typer.Argument(..., metavar="PIPELINE|FOLDER", help="A YAML, a graph folder or its URL."),
        overrides: Overrides = None,
        as_json: Json = False,
    ) -> None:
        """How a graph is spread over its partitions: sizes, balance, edges between them, halo, bytes."""
        from graphstorm_like.cli.partition import echo_partitions
        from graphstorm_like.launch.mirrored.reading import graph_folder

        echo_partitions(graph_folder(folder, overrides or ()), as_json)

    @show.command("batch")
    def batch(pipeline: Yaml, overrides: Overrides = None) -> None:
        """One real training batch: time and bytes of every step, shapes, loss."""
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.launch.mirrored.reading import for_reading
        from graphstorm_like.launch.show.batch import show_batch
        from graphstorm_like.progress import Reporter

        reporter = Reporter()
        local = for_reading(load_pipeline(pipeline, overrides or ()), reporter, run=False)
        for line in show_batch(local, reporter):
            typer.echo(line)

    @show.command("plan")
    def plan(pipeline: Yaml, overrides: Overrides = None) -> None:
        """Stages, whether they are up to date, and which process runs what."""
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.launch.mirrored.reading import for_reading
        from graphstorm_like.launch.show.plan import show_plan
        from graphstorm_like.progress import Reporter

        local = for_reading(load_pipeline(pipeline, overrides or ()), Reporter(), graph_data=False)
        for line in show_plan(local, str(pipeline)):
            typer.echo(line)
