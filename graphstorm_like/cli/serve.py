"""gsl serve: a packed model behind HTTP."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the verb."""

    @app.command("serve")
    def serve(
        model: Annotated[
            Path, typer.Argument(metavar="MODEL", help="A model folder, of gsl pack.", show_default=False)
        ],
        graph: Annotated[
            str | None,
            typer.Option(help="The graph folder, or its URL, whose nodes are known.", envvar="GSL_GRAPH"),
        ] = None,
        options: Annotated[
            list[str] | None,
            typer.Option("--search", help="Kind of search for links and nearest nodes: type=hnsw."),
        ] = None,
        host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: all.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port to listen at.", envvar="GSL_PORT")] = 8080,
        workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
        batch: Annotated[int, typer.Option(min=1, help="Questions that a worker takes at once.")] = 32,
        queue: Annotated[int, typer.Option(min=1, help="Questions that may wait; more get 503.")] = 256,
        seconds: Annotated[
            float, typer.Option("--timeout", min=0.1, help="Seconds for an answer; later: 504.", envvar="GSL_TIMEOUT")
        ] = 30.0,
        unknown: Annotated[
            str, typer.Option(help="New nodes without a learnt vector: refuse, mean or zero.", envvar="GSL_UNKNOWN")
        ] = "refuse",
        max_neighbours: Annotated[
            int | None, typer.Option(min=1, help="Of a new node's surroundings by edge type; default: all, exact.")
        ] = None,
        cache: Annotated[Path | None, typer.Option(help="A folder of text vectors, e.g. that of the training.")] = None,
        plugins: Annotated[bool, typer.Option("--plugins", help="Let the model's plug-ins run.")] = False,
    ) -> None:
        """Answer questions over HTTP: predictions, embeddings, neighbours, links; of known nodes and of new ones."""
        from graphstorm_like.serve.start import start

        with tempfile.TemporaryDirectory(prefix="gsl-serve-") as work:
            start(
                model,
                graph,
                Path(work),
                search=options or (),
                host=host,
                port=port,
                workers=workers,
                batch=batch,
                queue=queue,
                seconds=seconds,
                unknown=unknown,
                max_neighbours=max_neighbours,
                cache=cache,
                plugins=plugins,
                say=typer.echo,
            )
