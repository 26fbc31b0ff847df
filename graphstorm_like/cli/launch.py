"""gsl launch: a whole pipeline on a cluster."""

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
        on: str = typer.Option("", help="local, ray or slurm; default: launch.on of the YAML."),
        address: str = typer.Option("", help="Of the Ray cluster."),
        show: bool = typer.Option(False, "--print", help="Slurm: print the batch script, and submit nothing."),
        fresh: Fresh = False,
        quiet: Quiet = False,
    ) -> None:
        """All stages, on this machine, a Ray cluster or a Slurm cluster."""
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.launch.launcher import launch
        from graphstorm_like.launch.slurm import batch_script, submit

        changes = [*(overrides or ()), *([f"launch.on={on}"] if on else [])]
        changes += [f"launch.address={address}"] if address else []
        checked = load_pipeline(pipeline, changes)
        if checked.launch.on == "slurm":
            script = batch_script(checked, pipeline, changes, fresh, quiet)
            typer.echo(script if show else submit(script, checked), nl=not show)
            return
        with stopped_by_hand():
            launch(checked, fresh=fresh, quiet=quiet)
