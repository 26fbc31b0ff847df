"""gsl export and gsl import: graphs in the format of other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graphstorm_like.cli.arguments import Quiet


class Form(StrEnum):
    """Formats that a graph can be exported to or imported from."""

    dgl = "dgl"


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""

    @app.command("export")
    def export(
        source: Annotated[str, typer.Argument(metavar="SOURCE", help="A graph folder or its URL.", show_default=False)],
        target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder to write.", show_default=False)],
        to: Annotated[Form, typer.Option("--to", help="dgl: partitions of DistDGL 1.1.3.")] = Form.dgl,
        name: Annotated[str, typer.Option(help="The graph's name: the file NAME.json, DistGraph('NAME').")] = "graph",
        quiet: Quiet = False,
    ) -> None:
        """Write a graph folder in the format of another tool."""
        from graphstorm_like.graph.dgl.export import export_dgl
        from graphstorm_like.mirror.fetch import local_copy
        from graphstorm_like.progress import Reporter

        export_dgl(local_copy(source), target, Reporter(quiet).line, name)

    @app.command("import")
    def import_(
        source: Annotated[
            Path, typer.Argument(metavar="CONFIG", help="NAME.json of a DistDGL folder.", show_default=False)
        ],
        target: Annotated[Path, typer.Argument(metavar="TARGET", help="The graph folder.", show_default=False)],
        form: Annotated[Form, typer.Option("--from", help="dgl: partitions of DistDGL.")] = Form.dgl,
        label: Annotated[
            list[str] | None, typer.Option(help="TYPE/TENSOR that is a label; again for more.", show_default=False)
        ] = None,
        feature: Annotated[
            list[str] | None,
            typer.Option(help="TYPE/TENSOR that is a feature, e.g. a count in whole numbers.", show_default=False),
        ] = None,
        leave_out: Annotated[
            list[str] | None, typer.Option(help="TYPE/TENSOR to leave out.", show_default=False)
        ] = None,
        reverse: Annotated[
            list[str] | None,
            typer.Option(help="EDGE_TYPE,REVERSE_TYPE: the same edges, ends swapped.", show_default=False),
        ] = None,
        id_mapping: Annotated[
            Path | None,
            typer.Option(help="Folder of your own ids, as GraphStorm's raw_id_mappings.", show_default=False),
        ] = None,
        quiet: Quiet = False,
    ) -> None:
        """Make a graph folder from a folder in the format of another tool."""
        from gconstruct.dgl import import_dgl
        from graphstorm_like.errors import ConfigError, must_be
        from graphstorm_like.progress import Reporter

        pairs = []
        for word in reverse or ():
            forward, comma, back = word.partition(",")
            if not comma:
                raise ConfigError(must_be("--reverse", "it", "EDGE_TYPE,REVERSE_TYPE", word))
            pairs.append((forward, back))
        import_dgl(
            source,
            target,
            Reporter(quiet).line,
            labels=label or (),
            features=feature or (),
            leave_out=leave_out or (),
            reverse=pairs,
            id_mapping=id_mapping,
        )
