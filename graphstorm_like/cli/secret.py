"""gsl secret: a file by which the hosts of a job recognise each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("secret")
    def secret(file: Annotated[Path, typer.Argument(help="The file to write, mode 0600. It must not exist.")]) -> None:
        """Make a job's secret, a token and a certificate authority of its own, for `gsl host --secret-file`: the same
        file on each host. Who has it can take part in the job."""
        from graphstorm_like.launch.authority import make_secret_file

        make_secret_file(file)
