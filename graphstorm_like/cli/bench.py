"""gsl bench: measurements that print a table."""

from __future__ import annotations

import typer

from graphstorm_like.cli.arguments import Overrides, Yaml


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    bench = typer.Typer(help="Measurements that print a table.", no_args_is_help=True)
    app.add_typer(bench, name="bench")

    @bench.command("construct")
    def construct(
        nodes: int = typer.Option(1_000_000, help="Nodes with string ids."),
        edges: int = typer.Option(5_000_000, help="Edges between them."),
    ) -> None:
        """Graph construction on synthetic tables: rows/s, CPU seconds, peak memory."""
        from graphstorm_like.benchmarks.construct import format_table, run

        typer.echo(format_table(run(nodes=nodes, edges=edges)))

    @bench.command("text")
    def text(
        pipeline: Yaml,
        overrides: Overrides = None,
        limit: int = typer.Option(4000, help="Texts to embed, drawn evenly."),
    ) -> None:
        """Text embedding of the pipeline's texts, beside sentence-transformers on the same model and texts."""
        from graphstorm_like.benchmarks.pipeline import text_table
        from graphstorm_like.config import load_pipeline

        typer.echo(text_table(load_pipeline(pipeline, overrides or ()), limit))

    @bench.command("lm")
    def lm(
        pipeline: Yaml,
        overrides: Overrides = None,
        steps: int = typer.Option(10, min=1, help="Steps to time, after two that are not."),
    ) -> None:
        """Steps of language model training, alone and end to end, beside the graph network's: CPU seconds, memory."""
        from graphstorm_like.benchmarks.strategies import strategies_table
        from graphstorm_like.config import load_pipeline

        typer.echo(strategies_table(load_pipeline(pipeline, overrides or ()), steps))

    @bench.command("gnn")
    def gnn(
        pipeline: Yaml,
        overrides: Overrides = None,
        epochs: int = typer.Option(3, help="Epochs to time, after one that is not."),
    ) -> None:
        """Training epochs on cached text vectors: epoch time, sampled edges/s, CPU seconds, peak memory."""
        from graphstorm_like.benchmarks.pipeline import gnn_table
        from graphstorm_like.config import load_pipeline

        typer.echo(gnn_table(load_pipeline(pipeline, overrides or ()), epochs))

    @bench.command("sampling")
    def sampling(
        pipeline: Yaml,
        overrides: Overrides = None,
        partitions: str = typer.Option("1,2,4", help="Numbers of partitions; all but the first have servers."),
        method: str = typer.Option("metis", help="How to partition: metis or random."),
        batches: int = typer.Option(30, min=1, help="Batches to time, after one that is not."),
    ) -> None:
        """Sampling and the fetch of inputs over partitions: edges/s, rows/s, messages, bytes, CPU seconds."""
        from graphstorm_like.benchmarks.sampling import measure_partitions, parse_counts
        from graphstorm_like.benchmarks.sampling_table import sampling_table
        from graphstorm_like.config import load_pipeline

        counts = parse_counts(partitions)
        runs = measure_partitions(load_pipeline(pipeline, overrides or ()), counts, method, batches)
        typer.echo("\n".join(sampling_table(runs)))

    @bench.command("scaling")
    def scaling() -> None:
        """What the cost model predicts for graphs of a billion and a hundred billion edges: no measurement."""
        from graphstorm_like.benchmarks.cost_model import scaling_table

        typer.echo("\n".join(scaling_table()))
