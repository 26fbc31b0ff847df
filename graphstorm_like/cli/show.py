"""gsl show graph|partitions|batch|plan|config: look inside."""

from __future__ import annotations

from pathlib import Path

import typer

from graphstorm_like.cli.arguments import Json, Overrides, QualityOption, Yaml, print_json, with_quality


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    show = typer.Typer(help="Look inside a graph, a batch, the plan or the configuration.", no_args_is_help=True)
    app.add_typer(show, name="show")
    show.command("graph")(_graph)
    show.command("partitions")(_partitions)
    show.command("batch")(_batch)
    show.command("plan")(_plan)
    show.command("config")(_config)


def _graph(
    folder: str = typer.Argument(..., metavar="PIPELINE|FOLDER", help="A YAML, a graph folder or its URL."),
    overrides: Overrides = None,
    check: bool = typer.Option(True, "--check/--no-check", help="Check that its files are as they were written."),
    report: bool = typer.Option(False, "--report", help="Write report.html and report.json into the folder."),
    as_json: Json = False,
) -> None:
    """Types, counts, features, labels and splits of a constructed graph."""
    from graphstorm_like.launch.mirrored.reading import graph_folder
    from graphstorm_like.launch.show.graph import graph_facts, remake_report, show_graph

    folder = graph_folder(folder, overrides or (), data=check or report)
    if as_json:
        print_json(graph_facts(folder, check) | ({"report": str(remake_report(folder))} if report else {}))
        return
    for line in show_graph(folder, check):
        typer.echo(line)
    if report:
        typer.echo(f"\n{remake_report(folder)}")


def _partitions(
    folder: str = typer.Argument(..., metavar="PIPELINE|FOLDER", help="A YAML, a graph folder or its URL."),
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """How a graph is spread over its partitions: sizes, balance, edges between them, halo, bytes."""
    from graphstorm_like.cli.partition import echo_partitions
    from graphstorm_like.launch.mirrored.reading import graph_folder

    echo_partitions(graph_folder(folder, overrides or ()), as_json)


def _batch(pipeline: Yaml, overrides: Overrides = None, as_json: Json = False) -> None:
    """One real training batch: time and bytes of every step, shapes, loss."""
    from graphstorm_like.cache_use import using_cache
    from graphstorm_like.config import load_pipeline
    from graphstorm_like.launch.mirrored.reading import for_reading
    from graphstorm_like.launch.show.batch import batch_facts, show_batch
    from graphstorm_like.progress import Reporter

    reporter = Reporter(quiet=as_json)
    local = for_reading(load_pipeline(pipeline, overrides or ()), reporter, run=False)
    with using_cache(Path(local.cache), Path(local.output)):
        if as_json:
            print_json(batch_facts(local, reporter))
            return
        for line in show_batch(local, reporter):
            typer.echo(line)


def _plan(pipeline: Yaml, overrides: Overrides = None, as_json: Json = False) -> None:
    """Stages, whether they are up to date, and which process runs what."""
    from graphstorm_like.config import load_pipeline
    from graphstorm_like.launch.mirrored.reading import for_reading
    from graphstorm_like.launch.show.plan import plan_facts, show_plan
    from graphstorm_like.progress import Reporter

    local = for_reading(load_pipeline(pipeline, overrides or ()), Reporter(quiet=as_json), graph_data=False)
    if as_json:
        print_json(plan_facts(local, str(pipeline)))
        return
    for line in show_plan(local, str(pipeline)):
        typer.echo(line)


def _config(pipeline: Yaml, overrides: Overrides = None, quality: QualityOption = None, as_json: Json = False) -> None:
    """The whole configuration, defaults filled in, and where each value comes from: file and line, override, preset or
    default."""
    from graphstorm_like.config.load import load_with_origin
    from graphstorm_like.launch.show.config import config_facts, config_yaml

    checked, origin = load_with_origin(pipeline, with_quality(overrides, quality))
    if as_json:
        print_json(config_facts(checked, origin))
    else:
        typer.echo(config_yaml(checked, origin), nl=False)
