"""gsl stitch: an application graph with its neighbourhood in a corpus graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Fresh, Overrides, Quiet

StitchYaml = Annotated[Path, typer.Argument(metavar="STITCH", help="The YAML file of a stitching.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("stitch")
    def stitch(stitching: StitchYaml, overrides: Overrides = None, fresh: Fresh = False, quiet: Quiet = False) -> None:
        """Add the corpus neighbourhood of aligned nodes to an application graph."""
        from gconstruct.stitching import stitch
        from graphstorm_like.config import load_stitch
        from graphstorm_like.progress import Reporter

        stitch(load_stitch(stitching, overrides or ()), progress=Reporter(quiet).line, force=fresh)
