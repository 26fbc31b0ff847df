"""gsl doctor: what is installed, what is missing, and what can run."""

from __future__ import annotations

import typer

from graphstorm_like.cli.arguments import Json, print_json


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("doctor")
    def doctor(as_json: Json = False) -> None:
        """Versions, devices, missing extras, free memory and disk."""
        from graphstorm_like.launch.doctor import examine, machine_facts

        if as_json:
            print_json(machine_facts())
            return
        for line in examine():
            typer.echo(line)
