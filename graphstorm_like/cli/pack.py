"""gsl pack: the model of a finished run as a folder that travels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Quiet


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("pack")
    def pack(
        run: Annotated[
            Path, typer.Argument(metavar="RUN", help="A run's output folder, or its pipeline.", show_default=False)
        ],
        out: Annotated[Path, typer.Option("-o", "--out", help="The model folder to write.", show_default=False)],
        without_frozen_lm: Annotated[
            bool, typer.Option(help="Leave language models out that training did not change; they are found by name.")
        ] = False,
        kept: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Which model of train.keep_best; 1: the best. Default: infer.kept.",
                show_default=False,
            ),
        ] = None,
        plugins: Annotated[bool, typer.Option(help="Let the code of the run's plug-ins run.")] = False,
        quiet: Quiet = False,
    ) -> None:
        """Pack weights, configuration, feature state, language models and a model card into one folder."""
        from graphstorm_like.deploy.pack import pack
        from graphstorm_like.progress import Reporter

        pack(run, out, frozen_lm=not without_frozen_lm, kept=kept, plugins=plugins, reporter=Reporter(quiet))
