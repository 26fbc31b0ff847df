"""A real training batch, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.launch.show.table import Rows, table
from graphstorm_like.progress import Reporter


def show_batch(pipeline: Pipeline, reporter: Reporter) -> Iterator[str]:
    """The first training batch: each step with its time and what it added, then forward and backward."""
    from graphstorm_like.device import set_threads
    from graphstorm_like.sampling.batch import StreamPosition, tensor_bytes
    from graphstorm_like.training.experiment import build_experiment

    set_threads(pipeline.launch.threads)
    experiment = build_experiment(pipeline, reporter)
    batches = experiment.learner.batches()
    stream = experiment.learner.objective.stream(pipeline.train.batch_size, pipeline.seed)
    ids = stream.epoch_order(0)[: pipeline.train.batch_size]
    position = StreamPosition(0, 0)
    batches.make(ids, position)  # not timed: maps files and fills caches
    rows: Rows = []
    started = time.perf_counter()
    batch = batches.seeder(ids, position)
    rows.append([type(batches.seeder).__name__, _ms(started), f"{tensor_bytes(batch):,}"])
    for step in batches.steps:
        started, bytes_before = time.perf_counter(), tensor_bytes(batch)
        batch = step(batch)
        rows.append([type(step).__name__, _ms(started), f"{tensor_bytes(batch) - bytes_before:,}"])
    started = time.perf_counter()
    loss, count = experiment.learner.backward(batch.to(experiment.device))
    rows.append(["forward and backward", _ms(started), ""])
    yield from table(["step", "ms", "bytes"], rows)
    yield ""
    yield f"loss {loss / count:.4f} over {count:g}"
    for node_type, seeds in batch.seeds.items():
        yield f"seeds {node_type}: {len(seeds):,}"
    yield from experiment.task.describe_batch(batch)
    for node_type, inputs in batch.input_ids.items():
        features = ", ".join(f"{n} {tuple(v.shape)}" for n, v in batch.features.get(node_type, {}).items())
        yield f"input {node_type}: {len(inputs):,} nodes; {features or 'nothing from tables'}"
    for i, block in enumerate(batch.blocks):
        yield f"block {i}: {sum(block.num_src.values()):,} -> {sum(block.num_dst.values()):,} nodes"
        for edge_type, relation in block.relations.items():
            of_edges = "".join(f"; {n} {tuple(v.shape)}" for n, v in relation.inputs.items())
            size = f"{len(relation.sources):,} edges into {len(relation.rows):,} nodes"
            yield f"  {edge_name(edge_type)}: {size}{of_edges}"


def _ms(started: float) -> str:
    return f"{1000 * (time.perf_counter() - started):.1f}"
