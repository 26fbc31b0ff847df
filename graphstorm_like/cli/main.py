"""The `gsl` command: one module per verb, no logic here."""

from __future__ import annotations

import typer

from graphstorm_like import __version__
from graphstorm_like.cli import (
    apply,
    baseline,
    bench,
    cache,
    compare,
    convert,
    doctor,
    exchange,
    host,
    index,
    init,
    launch,
    pack,
    partition,
    report,
    run,
    schema,
    secret,
    serve,
    show,
    stitch,
    sweep,
    validate,
    worker,
)
from graphstorm_like.cli.ending import with_messages

app = typer.Typer(
    name="gsl",
    help="Language models and graph networks on text-rich graphs: tables in, predictions and embeddings out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


run.add_to(app)
init.add_to(app)
index.add_to(app)
convert.add_to(app)
validate.add_to(app)
schema.add_to(app)
secret.add_to(app)
serve.add_to(app)
show.add_to(app)
report.add_to(app)
doctor.add_to(app)
bench.add_to(app)
cache.add_to(app)
compare.add_to(app)
sweep.add_to(app)
stitch.add_to(app)
partition.add_to(app)
exchange.add_to(app)
pack.add_to(app)
apply.add_to(app)
baseline.add_to(app)
launch.add_to(app)
host.add_to(app)
worker.add_to(app)


def main() -> None:
    """Entry point: every error is a message and an exit code."""
    with with_messages():
        app()


if __name__ == "__main__":
    main()
