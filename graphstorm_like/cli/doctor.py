"""gsl doctor: what is installed, what is missing, and what can run."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("doctor")
    def doctor() -> None:
        """Versions, devices, missing extras, free memory and disk."""
        from graphstorm_like.launch.doctor import examine

        for line in examine():
            typer.echo(line)
