"""gsl apply: a packed model on new tables or on a graph."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Quiet


class UnknownNodes(StrEnum):
    """What nodes get that the model should have learnt a vector of."""

    refuse = "refuse"
    mean = "mean"
    zero = "zero"


class ResultFormat(StrEnum):
    """Of the files."""

    parquet = "parquet"
    csv = "csv"
    npy = "npy"


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("apply")
    def apply(
        model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder or its URL.", show_default=False)],
        out: Annotated[Path, typer.Option(help="The folder of results to write.", show_default=False)],
        tables: Annotated[
            Path | None, typer.Option(help="A YAML with a section `graph:` of the new tables.", show_default=False)
        ] = None,
        graph: Annotated[Path | None, typer.Option(help="A graph folder instead.", show_default=False)] = None,
        attach: Annotated[
            Path | None, typer.Option(help="A graph folder whose rows are neighbours of the new ones.")
        ] = None,
        ids: Annotated[Path | None, typer.Option(help="A file with the ids of the nodes that are asked for.")] = None,
        node_type: Annotated[str | None, typer.Option(help="Their node type; default: the task's.")] = None,
        pairs: Annotated[Path | None, typer.Option(help="A file with pairs of ids: edges, or links to score.")] = None,
        top_k: Annotated[int | None, typer.Option("-k", "--top-k", min=1, help="Links: targets per source.")] = None,
        result_format: Annotated[ResultFormat, typer.Option("--format", help="Of the files.")] = ResultFormat.parquet,
        unknown: Annotated[
            UnknownNodes, typer.Option(help="What nodes get that the model should have learnt a vector of.")
        ] = UnknownNodes.refuse,
        evaluate: Annotated[bool, typer.Option(help="Print metrics on the labels of the tables.")] = False,
        without_labels: Annotated[bool, typer.Option(help="Do not read labels and splits of the YAML.")] = False,
        cache: Annotated[
            Path | None, typer.Option(help="A folder of text vectors to read and add to, e.g. the run's.")
        ] = None,
        plugins: Annotated[bool, typer.Option(help="Let the code of the model's plug-ins run.")] = False,
        quiet: Quiet = False,
    ) -> None:
        """Predict for new tables, alone or attached to a graph, or for a graph folder."""
        from graphstorm_like.deploy.apply import ApplyOptions, apply_model
        from graphstorm_like.deploy.model import Model
        from graphstorm_like.errors import ConfigError
        from graphstorm_like.progress import Reporter

        source = tables or graph
        if source is None or (tables is not None and graph is not None):
            raise ConfigError("gsl apply: must have either --tables or --graph")
        options = ApplyOptions(
            attach=attach,
            unknown=unknown.value,
            ids=ids,
            node_type=node_type,
            pairs=pairs,
            top_k=top_k,
            format=result_format.value,
            evaluate=evaluate,
            labels=not without_labels,
            cache=cache,
        )
        apply_model(Model.load(model, plugins=plugins, reporter=Reporter(quiet)), source, out, options)
