"""A real training batch, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.launch.show.table import Rows, table
from graphstorm_like.progress import Reporter


def show_batch(pipeline: Pipeline, reporter: Reporter) -> Iterator[str]:
    """The first training batch: each step with its time and what it added, then forward and backward."""
    facts = batch_facts(pipeline, reporter)
    rows: Rows = []
    for step in facts["steps"]:
        size = "" if step["bytes"] is None else f"{step['bytes']:,}"
        rows.append([step["step"], f"{step['milliseconds']:.1f}", size])
    yield from table(["step", "ms", "bytes"], rows)
    yield ""
    yield f"loss {facts['loss']:.4f} over {facts['loss_over']:g}"
    for node_type, seeds in facts["seeds"].items():
        yield f"seeds {node_type}: {seeds:,}"
    yield from facts["notes"]
    for node_type, inputs in facts["inputs"].items():
        features = ", ".join(f"{n} {tuple(shape)}" for n, shape in inputs["features"].items())
        yield f"input {node_type}: {inputs['nodes']:,} nodes; {features or 'nothing from tables'}"
    for i, block in enumerate(facts["blocks"]):
        yield f"block {i}: {block['sources']:,} -> {block['targets']:,} nodes"
        for name, relation in block["relations"].items():
            of_edges = "".join(f"; {n} {tuple(shape)}" for n, shape in relation["inputs"].items())
            yield f"  {name}: {relation['edges']:,} edges into {relation['rows']:,} nodes{of_edges}"


def batch_facts(pipeline: Pipeline, reporter: Reporter) -> dict[str, Any]:
    """The same as values for scripts. Times are in milliseconds."""
    from graphstorm_like.device import set_threads
    from graphstorm_like.sampling.batch import StreamPosition, tensor_bytes
    from graphstorm_like.training.experiment import build_experiment

    set_threads(pipeline.launch.threads)
    experiment = build_experiment(pipeline, reporter)
    batches = experiment.learner.batches()
    stream = experiment.learner.objective.stream(pipeline.train.batch_size, pipeline.seed)
    ids = stream.step_ids(stream.epoch_order(0), 0)
    position = StreamPosition(0, 0)
    batches.make(ids, position)  # not timed: maps files and fills caches
    steps: list[dict[str, Any]] = []
    started = time.perf_counter()
    batch = batches.seeder(ids, position)
    steps.append(_step(type(batches.seeder).__name__, started, tensor_bytes(batch)))
    for step in batches.steps:
        started, bytes_before = time.perf_counter(), tensor_bytes(batch)
        batch = step(batch)
        steps.append(_step(type(step).__name__, started, tensor_bytes(batch) - bytes_before))
    started = time.perf_counter()
    loss, count = experiment.learner.backward(batch.to(experiment.device))
    steps.append(_step("forward and backward", started, None))
    inputs = {}
    for node_type, nodes in batch.input_ids.items():
        shapes = {name: list(values.shape) for name, values in batch.features.get(node_type, {}).items()}
        inputs[node_type] = {"nodes": len(nodes), "features": shapes}
    return {
        "steps": steps,
        "loss": loss / count,
        "loss_over": count,
        "seeds": {node_type: len(seeds) for node_type, seeds in batch.seeds.items()},
        "notes": list(experiment.task.describe_batch(batch)),
        "inputs": inputs,
        "blocks": [_block(block) for block in batch.blocks],
    }


def _step(name: str, started: float, size: int | None) -> dict[str, Any]:
    return {"step": name, "milliseconds": 1000 * (time.perf_counter() - started), "bytes": size}


def _block(block: Any) -> dict[str, Any]:
    relations = {}
    for edge_type, relation in block.relations.items():
        shapes = {name: list(values.shape) for name, values in relation.inputs.items()}
        sizes = {"edges": len(relation.sources), "rows": len(relation.rows)}
        relations[edge_name(edge_type)] = {**sizes, "inputs": shapes}
    sources, targets = sum(block.num_src.values()), sum(block.num_dst.values())
    return {"sources": sources, "targets": targets, "relations": relations}
