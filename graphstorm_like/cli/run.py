"""gsl run, and its stages one by one: construct, train, evaluate, infer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Fresh, Overrides, QualityOption, Quiet, Yaml, with_quality

STOPPED = "stopped; the same command goes on from the last resume point"

_STAGE_HELP = {
    "train": "Embed texts, train, validate; goes on from the last resume point.",
    "evaluate": "Score the best model on validation and test.",
    "infer": "Write embeddings and predictions as Parquet, under your own ids.",
}


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""

    @app.command("run")
    def run(
        pipeline: Yaml,
        overrides: Overrides = None,
        quality: QualityOption = None,
        infer: Annotated[bool, typer.Option("--infer/--no-infer", help="Whether to infer, the last stage.")] = True,
        baselines: Annotated[
            bool, typer.Option("--baselines/--no-baselines", help="Whether to fit quick simple models beside it.")
        ] = True,
        fresh: Fresh = False,
        quiet: Quiet = False,
    ) -> None:
        """construct -> train -> evaluate -> infer; stages that are up to date are skipped."""
        stages = None if infer else ["construct", "train", "evaluate"]
        given = [] if baselines else ["baselines=false"]
        _run(pipeline, [*with_quality(overrides, quality), *given], fresh, quiet, stages, scores=True)

    @app.command("construct")
    def construct(
        pipeline: Yaml,
        overrides: Overrides = None,
        like: Annotated[str | None, typer.Option(help="A graph folder whose fitted state the tables get.")] = None,
        add: Annotated[str | None, typer.Option(help="A graph folder to which the tables add.")] = None,
        fresh: Fresh = False,
        quiet: Quiet = False,
    ) -> None:
        """Build the graph folder from the tables."""
        known = {"graph.like": like, "graph.add_to": add}
        given = [f"{key}={json.dumps(_absolute(place))}" for key, place in known.items() if place is not None]
        _run(pipeline, [*(overrides or ()), *given], fresh, quiet, ["construct"])

    for stage, text in _STAGE_HELP.items():
        app.command(stage, help=text)(_stage_command(stage))


def _absolute(place: str) -> str:
    """From the working directory, for the YAML's keys start at its own folder; URLs stay."""
    return place if "://" in place else str(Path(place).absolute())


@contextmanager
def stopped_by_hand() -> Iterator[None]:
    """Ends Ctrl-C and SIGTERM with a line and an exit code: 85 after a resume point, else 128 + the signal's number."""
    from graphstorm_like.training.stopping import Stopped

    try:
        yield
    except KeyboardInterrupt:
        typer.echo(STOPPED, err=True)
        raise typer.Exit(130) from None
    except Stopped as stopped:
        typer.echo(STOPPED, err=True)
        raise typer.Exit(stopped.exit_code) from None


def _stage_command(stage: str) -> Callable[..., None]:
    def command(
        pipeline: Yaml,
        overrides: Overrides = None,
        quality: QualityOption = None,
        fresh: Fresh = False,
        quiet: Quiet = False,
    ) -> None:
        _run(pipeline, with_quality(overrides, quality), fresh, quiet, [stage])

    return command


def _run(
    pipeline: Yaml,
    overrides: Overrides,
    fresh: bool,
    quiet: bool,
    stages: list[str] | None,
    scores: bool = False,
) -> None:
    """Run stages; None: all. scores: whether the run scores its model, which simple models then stand beside."""
    from graphstorm_like.config.load import load_with_origin
    from graphstorm_like.config.presets import preset_line
    from graphstorm_like.launch.launcher import launch
    from graphstorm_like.launch.mirrored.places import localised, shown
    from graphstorm_like.launch.mirrored.session import publish_loose
    from graphstorm_like.launch.preflight import check_run
    from graphstorm_like.launch.state import STAGES
    from graphstorm_like.launch.summary import summary, suspicions_of_run, warning_block
    from graphstorm_like.progress import Reporter

    checked, origin = load_with_origin(pipeline, overrides or ())
    local = localised(checked)
    if (line := preset_line(origin)) is not None and not quiet:
        typer.echo(line)
    check_run(local, stages or STAGES, fresh, origin)
    with stopped_by_hand():
        launch(checked, stages or STAGES, fresh, quiet)
    if scores and checked.baselines:
        from graphstorm_like.baselines.quick import baselines_of_run  # imports torch, which a launcher does without

        baselines_of_run(local, Reporter(quiet), fresh, partial(typer.echo, err=True))
    if stages is not None:
        if checked.baselines and scores:
            publish_loose(checked, partial(typer.echo, err=True))
        return
    arguments = [str(pipeline), *(overrides or ())]
    if checked.report:
        from graphstorm_like.reports.write import report_of_run  # imports torch, which a launcher does without

        report_of_run(Path(local.output), ["gsl", "run", *arguments], partial(typer.echo, err=True))
    if checked.report or checked.baselines:
        publish_loose(checked, partial(typer.echo, err=True))
    if not quiet:
        for line in summary(local, arguments, shown(checked)):
            typer.echo(line)
    # The summary has it too: on a terminal it is read once.
    if (quiet or not sys.stdout.isatty()) and (block := warning_block(suspicions_of_run(local))):
        typer.secho(block, fg="red" if sys.stderr.isatty() else None, err=True)
