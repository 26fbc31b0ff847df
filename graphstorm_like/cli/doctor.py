"""gsl doctor: what is installed, what is missing, what can run, and which host is slow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Json, Overrides, print_json
from graphstorm_like.cli.run import stopped_by_hand

Pipeline = Annotated[
    Path | None,
    typer.Argument(metavar="[PIPELINE]", help="With --hosts: the YAML file.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("doctor")
    def doctor(
        pipeline: Pipeline = None,
        overrides: Overrides = None,
        hosts: bool = typer.Option(False, "--hosts", help="Compare the hosts of launch: network, matmul, disk, clock."),
        index: Annotated[int | None, typer.Option(help="Which host this machine is; on each, as for gsl host.")] = None,
        addresses: str = typer.Option("", help="Private addresses or names of all hosts, separated by commas."),
        hosts_from_slurm: bool = typer.Option(False, "--hosts-from-slurm", help="Index and addresses as srun says."),
        as_json: Json = False,
    ) -> None:
        """Versions, devices, missing extras, free memory and disk; with --hosts, which host of a job is slow."""
        if hosts:
            _compare_hosts(pipeline, overrides or [], index, addresses, hosts_from_slurm, as_json)
            return
        from graphstorm_like.launch.doctor import examine, machine_facts

        if as_json:
            print_json(machine_facts())
            return
        for line in examine():
            typer.echo(line)


def _compare_hosts(
    pipeline: Path | None, overrides: list[str], index: int | None, addresses: str, from_slurm: bool, as_json: bool
) -> None:
    from graphstorm_like.bench.hosts import measure_here, measure_simulated
    from graphstorm_like.config import load_pipeline
    from graphstorm_like.launch.host import host_addresses
    from graphstorm_like.launch.launchers.slurm import slurm_node
    from graphstorm_like.launch.mirrored.places import localised

    if pipeline is None:
        raise typer.BadParameter("--hosts needs a PIPELINE, whose launch: names the hosts")
    checked = localised(load_pipeline(pipeline, overrides))
    with stopped_by_hand():
        if from_slurm:
            node = slurm_node()
            found = measure_here(checked, node.index, node.addresses)
        elif index is not None:
            found = measure_here(checked, index, host_addresses(checked, addresses))
        else:
            measure_simulated(checked, pipeline, overrides, ["--json"] if as_json else [])
            return
    if found is None:
        return
    if as_json:
        print_json(found.as_json())
        return
    for line in found.lines():
        typer.echo(line)
