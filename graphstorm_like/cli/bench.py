"""gsl bench: measurements that print a table."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    del app
