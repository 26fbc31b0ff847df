"""gsl index and gsl search: the nearest vectors among exported ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from graphstorm_like.cli.arguments import Json, Quiet

Options = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Kind of search and its options: type=hnsw search_effort=64. Default: type=exact.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A run's output folder, or its infer folder.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""

    @app.command("index")
    def index(
        results: RunFolder,
        options: Options = None,
        target: Annotated[Path | None, typer.Option("-o", "--output", help="The folder to write.")] = None,
        node_type: Annotated[str | None, typer.Option(help="Embeddings of this node type.", show_default=False)] = None,
        links: Annotated[bool, typer.Option("--links", help="The targets of a link prediction.")] = False,
        similarity: Annotated[str | None, typer.Option(help="cosine or inner_product.", show_default=False)] = None,
        store: Annotated[
            str | None, typer.Option(help="lance or pgvector: export instead.", show_default=False)
        ] = None,
        quiet: Quiet = False,
    ) -> None:
        """Write an index of exported vectors, under your own ids, or export them to another store."""
        from graphstorm_like.progress import Reporter
        from graphstorm_like.search.run import make_index

        line = make_index(results, target, options or (), node_type, links, similarity, store, Reporter(quiet).line)
        if not quiet:
            typer.echo(line)

    @app.command("search")
    def search(
        index_folder: Annotated[Path, typer.Argument(metavar="INDEX", help="An index folder.", show_default=False)],
        ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Of your tables.")] = None,
        k: Annotated[int, typer.Option("-k", min=1, help="How many for each id.")] = 10,
        queries: Annotated[
            Path | None,
            typer.Option(help="Results with the vectors of the ids: sources of links.", show_default=False),
        ] = None,
        exact: Annotated[bool, typer.Option("--exact", help="Compare all vectors.")] = False,
        target: Annotated[
            Path | None, typer.Option("-o", "--output", help="A Parquet file for the results.", show_default=False)
        ] = None,
        as_json: Json = False,
    ) -> None:
        """The nearest of some ids; without ids, of all."""
        from graphstorm_like.search.run import print_lines, search_ids

        found = search_ids(index_folder, ids, k, queries, exact)
        if target is not None:
            import pyarrow.parquet as pq

            pq.write_table(found, target)
        elif as_json:
            rows: list[dict[str, Any]] = found.to_pylist()
            typer.echo(json.dumps(rows, default=str))
        else:
            for line in print_lines(found):
                typer.echo(line)
