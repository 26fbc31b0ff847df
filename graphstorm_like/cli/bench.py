"""gsl bench: what faults cost, and what a GPU does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Json, Overrides, Quiet, Yaml, print_json


def add_to(app: typer.Typer) -> None:
    """Register the verb and its sub-commands."""
    bench = typer.Typer(help="Measure this installation: faults and goodput, a GPU beside the CPU.")
    app.add_typer(bench, name="bench")

    @bench.command("faults")
    def faults(
        pipeline: Yaml,
        overrides: Overrides = None,
        minutes: Annotated[float, typer.Option(min=0.05, help="About how long the undisturbed training takes.")] = 30.0,
        per_minute: Annotated[float, typer.Option(min=0.01, help="Faults a minute, at most.")] = 1.0,
        epochs: Annotated[int | None, typer.Option(min=1, help="Of the training, in place of --minutes.")] = None,
        fault: Annotated[list[str] | None, typer.Option(help="A kind of fault; may be repeated. Default: all.")] = None,
        timeout: Annotated[float, typer.Option(min=1.0, help="The job's timeouts, in seconds.")] = 20.0,
        seed: Annotated[int, typer.Option(help="Of the order of faults.")] = 0,
        most: Annotated[int | None, typer.Option(min=1, help="Faults at most; then training ends in peace.")] = None,
        folder: Annotated[
            Path | None, typer.Option("--output", "-o", help="Default: the pipeline's output folder with -faults.")
        ] = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        """Train twice, undisturbed and under faults: goodput, recovery times, and whether the weights are equal."""
        from graphstorm_like.bench.campaign import Plan, bench_faults
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.launch.mirrored.places import localised
        from graphstorm_like.progress import Reporter
        from graphstorm_like.training.stopping import Stopped, stop_on_signals

        if folder is None:
            folder = Path(f"{localised(load_pipeline(pipeline, overrides or ())).output}-faults")
        plan = Plan(
            pipeline, overrides or (), folder.absolute(), minutes, per_minute, epochs, fault or (), timeout, seed, most
        )
        try:
            with stop_on_signals():  # so that mounts and network namespaces are removed
                result = bench_faults(plan, Reporter(quiet or as_json))
        except Stopped as stopped:
            raise typer.Exit(stopped.exit_code) from None
        if as_json:
            print_json(result.as_json())
        else:
            for line in result.lines():
                typer.echo(line)

    @bench.command("gpu")
    def gpu(
        pipeline: Yaml,
        overrides: Overrides = None,
        folder: Annotated[
            Path | None, typer.Option("--output", "-o", help="Default: the pipeline's output folder with -gpu.")
        ] = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        """Train on the CPU and on the GPU: the same losses, how fast, how much memory. Fails without a GPU, and when
        losses differ."""
        from graphstorm_like.bench import gpu as bench_of_gpu
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.launch.mirrored.places import localised
        from graphstorm_like.progress import Reporter

        if folder is None:
            folder = Path(f"{localised(load_pipeline(pipeline, overrides or ())).output}-gpu")
        reporter = Reporter(quiet or as_json)
        found = bench_of_gpu.bench_gpu(pipeline, overrides or (), folder.absolute(), reporter)
        if as_json:
            print_json(bench_of_gpu.as_json(found))
        else:
            for line in bench_of_gpu.lines(found):
                typer.echo(line)
        if not all(one.is_equal for one in found):
            raise typer.Exit(1)
