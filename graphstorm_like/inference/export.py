"""Embeddings and predictions of a trained experiment, written under the user's own ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.store import NodeType, RowType
from graphstorm_like.inference.writers import ResultFolder, list_column, shards
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.tables import row_bounds
from graphstorm_like.tasks.outputs import EndVectors, Predictions
from graphstorm_like.training.experiment import Experiment


def export(
    experiment: Experiment, target: Path, model_id: str, embedder: Embedder, reporter: Reporter
) -> dict[str, Any]:
    """Compute and write what `infer:` asks for; returns the manifest. model_id: hash of the weights."""
    config = experiment.pipeline.infer
    node_types = config.embeddings if config.embeddings is not None else list(experiment.task.node_types)
    task = experiment.task
    if config.predictions and not task.predicts:
        reporter.line(
            f"predictions: none, {experiment.pipeline.task.type} makes no predictions; embeddings are written"
        )
    predictions = config.predictions and task.predicts
    predicted_from = task.node_types if predictions else ()
    all_types = list(dict.fromkeys([*node_types, *predicted_from]))
    vectors = node_vectors(experiment, all_types, embedder)
    with ResultFolder(target, task.group) as folder:
        for node_type in node_types:
            rows = folder.write(f"embeddings/{node_type}", embedding_tables(experiment, node_type, vectors[node_type]))
            reporter.line(f"{node_type}: {rows:,} embeddings of {vectors[node_type].shape[1]} numbers")
        for ends in task.end_vectors():
            if ends.node_type in node_types:
                rows = folder.write(ends.folder, link_tables(experiment, ends, vectors[ends.node_type]))
                reporter.line(f"{ends.folder}: {rows:,} vectors as the head compares them")
        of_predictions: dict[str, Any] = {}
        if predictions:
            predicted = task.predictions(vectors, config, reporter.follow())
            rows = folder.write("predictions", prediction_tables(experiment, predicted))
            of_predictions.update(predicted.facts())
            reporter.line(f"predictions: {rows:,} rows")
        facts: dict[str, Any] = {
            "model": model_id,
            "pipeline": experiment.pipeline.name,
            "task": experiment.pipeline.task.model_dump(mode="json"),
            "mode": config.mode,
            **task.results(config),
            **of_predictions,
        }
        return folder.finish(facts)


def node_vectors(experiment: Experiment, node_types: list[NodeType], embedder: Embedder) -> dict[NodeType, Vectors]:
    """Vectors [count, D] of all nodes of some types, in the mode that `infer:` asks for."""
    config = experiment.pipeline.infer
    if config.mode == "layer_wise":
        return embedder.layer_wise(node_types)
    fanouts = config.fanouts or experiment.pipeline.train.fanouts
    return {t: embedder.mini_batch_all(t, fanouts, experiment.pipeline.seed) for t in node_types}


def own_shards(experiment: Experiment, row_type: RowType, shard_rows: int) -> Iterator[slice]:
    """This rank's rows of a type, in slices of at most `shard_rows`."""
    group = experiment.task.group
    bounds = row_bounds(experiment.graph, row_type, group)
    return shards(int(bounds[group.rank]), int(bounds[group.rank + 1]), shard_rows)


def embedding_tables(experiment: Experiment, node_type: NodeType, vectors: Vectors) -> Iterator[pa.Table]:
    """id, embedding."""
    config = experiment.pipeline.infer
    for part in own_shards(experiment, node_type, config.shard_rows):
        ids = experiment.graph.ids_of(node_type, np.arange(part.start, part.stop))
        yield pa.table({"id": ids, "embedding": list_column(np.asarray(vectors[part]), config.dtype)})


def link_tables(experiment: Experiment, ends: EndVectors, vectors: Vectors) -> Iterator[pa.Table]:
    """id, vector: what the head compares. vectors: [count, D] of all nodes of the type."""
    config = experiment.pipeline.infer
    for part in own_shards(experiment, ends.node_type, config.shard_rows):
        ids = experiment.graph.ids_of(ends.node_type, np.arange(part.start, part.stop))
        yield pa.table({"id": ids, "vector": list_column(ends.of(vectors[part]), config.dtype)})


def prediction_tables(experiment: Experiment, predictions: Predictions) -> Iterator[pa.Table]:
    """What the task predicts, for every node or edge of the label's type (or every source of a link)."""
    shard_rows = max(1, experiment.pipeline.infer.shard_rows // max(predictions.per_row, 1))
    for part in own_shards(experiment, predictions.row_type, shard_rows):
        yield predictions.table(part)
