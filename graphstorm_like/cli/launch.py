"""gsl launch: a whole pipeline on a cluster, or in a cloud."""

from __future__ import annotations

import typer

from graphstorm_like.cli.arguments import Fresh, Overrides, Quiet, Yaml
from graphstorm_like.cli.run import stopped_by_hand


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("launch")
    def launch(
        pipeline: Yaml,
        overrides: Overrides = None,
        on: str = typer.Option("", help="The launcher; default: launch.on of the YAML."),
        address: str = typer.Option("", help="Of the Ray cluster, or of its dashboard: http://HOST:8265."),
        job: str = typer.Option(
            "", help="On SageMaker: train, construct, infer, apply, transform, endpoint, pipeline."
        ),
        wait: bool = typer.Option(False, "--wait", help="On SageMaker: follow the job until it ends."),
        upload: bool = typer.Option(False, "--upload", help="On SageMaker: copy tables of this machine to S3."),
        show: bool = typer.Option(False, "--print", help="Print what would be submitted or started, and do neither."),
        fresh: Fresh = False,
        quiet: Quiet = False,
    ) -> None:
        """Run all stages where --on or launch.on says: here, on a Ray or Slurm cluster, on SageMaker, or by your own
        launcher."""
        from graphstorm_like.config.load import load_with_origin
        from graphstorm_like.launch.launcher import launcher_of, submit
        from graphstorm_like.launch.launchers import Source
        from graphstorm_like.launch.mirrored.places import localised, shown
        from graphstorm_like.launch.preflight import check_run
        from graphstorm_like.launch.state import STAGES
        from graphstorm_like.launch.summary import summary

        told = {"on": on, "address": address, "job": job, "wait": "true" * wait, "upload": "true" * upload}
        changes = [*(overrides or ()), *(f"launch.{key}={value}" for key, value in told.items() if value)]
        checked, origin = load_with_origin(pipeline, changes)
        source, local, launcher = Source(pipeline, changes), localised(checked), launcher_of(checked)
        if show:
            given = checked if launcher.takes_urls else local
            typer.echo(launcher.request(given, source, fresh, quiet), nl=False)
            return
        check_run(local, STAGES, fresh, origin)
        with stopped_by_hand():
            answer = submit(checked, source, fresh, quiet)
        if answer is not None:
            typer.echo(answer)
        elif not quiet:
            for line in summary(local, [str(pipeline), *changes], shown(checked)):
                typer.echo(line)
