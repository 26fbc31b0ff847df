"""gsl host: the processes of one machine of a job that runs over several."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Fresh, Overrides, Quiet, Yaml
from graphstorm_like.cli.run import stopped_by_hand

SecretFile = Annotated[
    Path | None, typer.Option(envvar="GSL_SECRET_FILE", help="File with the job's secret, closed to others.")
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("host")
    def host(
        pipeline: Yaml,
        overrides: Overrides = None,
        index: int = typer.Option(0, help="Which of launch.hosts this machine is."),
        addresses: str = typer.Option("", help="Private addresses or names of all hosts, separated by commas."),
        secret_file: SecretFile = None,
        hosts_from_slurm: bool = typer.Option(False, "--hosts-from-slurm", help="Index and addresses as srun says."),
        fresh: Fresh = False,
        quiet: Quiet = False,
    ) -> None:
        """Start and watch this machine's processes; for a scheduler of your own (launch.on: external) and for Slurm."""
        from graphstorm_like.config import load_pipeline
        from graphstorm_like.launch.host import host_addresses
        from graphstorm_like.launch.launchers.slurm import slurm_node
        from graphstorm_like.launch.mirrored.places import places_of
        from graphstorm_like.launch.one_host import run_one_host

        checked, mark = load_pipeline(pipeline, overrides or ()), None
        if hosts_from_slurm:
            node = slurm_node()
            index, host_list, mark = node.index, node.addresses, node.mark
        else:
            host_list = host_addresses(checked, addresses)
        with stopped_by_hand():
            run_one_host(checked, index, host_list, secret_file, mark=mark, fresh=fresh, quiet=quiet)
        # Behind a URL each host has its own partition of the graph alone, and cannot make it: `gsl report` does.
        if index == 0 and checked.report and places_of(checked).output is None:
            from graphstorm_like.baselines.quick import baselines_of_run
            from graphstorm_like.progress import Reporter
            from graphstorm_like.reports.write import report_of_run  # imports torch, which a launcher does without

            if checked.baselines:
                baselines_of_run(checked, Reporter(quiet), fresh, partial(typer.echo, err=True))
            report_of_run(Path(checked.output), None, partial(typer.echo, err=True))
