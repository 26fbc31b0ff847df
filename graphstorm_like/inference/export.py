"""Embeddings and predictions of a trained experiment, written under the user's own ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.store import IntArray, NodeType, RowType
from graphstorm_like.inference.rows import asked_rows
from graphstorm_like.inference.writers import ResultFolder, list_column, shards
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.restricted import SomeVectors, restricted_vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.tables import row_bounds
from graphstorm_like.tasks.outputs import Asked, EndVectors, Predictions, Rows, row_ids
from graphstorm_like.training.experiment import Experiment


def export(
    experiment: Experiment,
    target: Path,
    model_id: str,
    embedder: Embedder,
    reporter: Reporter,
    asked: Asked | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute and write what `infer:` asks for; returns the manifest. model_id: hash of the weights. asked: the rows,
    instead of those that `infer:` asks for. more: facts for the manifest."""
    config, task = experiment.pipeline.infer, experiment.task
    if asked is None:
        asked = asked_rows(config, experiment.graph, experiment.pipeline.task, task.scores_edges)
    node_types = config.embeddings if config.embeddings is not None else list(task.node_types)
    if config.predictions and not task.predicts:
        reporter.line(
            f"predictions: none, {experiment.pipeline.task.type} makes no predictions; embeddings are written"
        )
    predictions = config.predictions and task.predicts
    if asked.edges is not None or asked.pairs is not None or asked.triples is not None:
        node_types = [node_type for node_type in node_types if node_type in asked.nodes]  # pairs alone: no embeddings
    needed: dict[NodeType, IntArray | None] = {t: asked.nodes.get(t) for t in node_types}
    if predictions:
        for node_type, ids in task.needed(asked).items():
            needed[node_type] = _both(needed[node_type], ids) if node_type in needed else ids
    if embedder.clock is not None and config.mode == "layer_wise":
        reporter.line("vectors are of sampled neighbours, as always with model.time")
    vectors = node_vectors(experiment, needed, embedder)
    with ResultFolder(target, task.group, config.format) as folder:
        for node_type in node_types:
            tables = embedding_tables(experiment, node_type, vectors[node_type], asked.nodes.get(node_type))
            rows = folder.write(f"embeddings/{node_type}", tables)
            reporter.line(f"{node_type}: {rows:,} embeddings of {vectors[node_type].shape[1]} numbers")
        for ends in task.end_vectors():
            if ends.node_type in node_types:
                of_type = vectors[ends.node_type]
                rows = folder.write(
                    ends.folder, link_tables(experiment, ends, of_type, asked.nodes.get(ends.node_type))
                )
                reporter.line(f"{ends.folder}: {rows:,} vectors as the head compares them")
        of_predictions: dict[str, Any] = {}
        if predictions:
            for name, predicted in task.predicted_tables(vectors, config, reporter.follow(), asked).items():
                rows = folder.write(name, prediction_tables(experiment, predicted))
                of_predictions.update(predicted.facts())
                reporter.line(f"{name}: {rows:,} rows")
        facts: dict[str, Any] = {
            "model": model_id,
            "pipeline": experiment.pipeline.name,
            "task": experiment.pipeline.task.model_dump(mode="json"),
            "mode": config.mode if embedder.clock is None else "mini_batch",
            "format": config.format,
            **task.results(config),
            **of_predictions,
            **(more or {}),
        }
        return folder.finish(facts)


def _both(first: IntArray | None, second: IntArray | None) -> IntArray | None:
    return None if first is None or second is None else np.union1d(first, second)


def node_vectors(
    experiment: Experiment, needed: Mapping[NodeType, IntArray | None], embedder: Embedder
) -> dict[NodeType, Vectors]:
    """Vectors of nodes by type, of some or (None) of all, in the mode that `infer:` asks for; they are read by the
    positions of the nodes in any case. Of few nodes only these are computed, with what they depend on."""
    config, manifest = experiment.pipeline.infer, experiment.graph.manifest
    few = {t: ids for t, ids in needed.items() if ids is not None and 2 * len(ids) <= manifest.node(t).count}
    if config.mode == "layer_wise" and embedder.clock is None:
        return restricted_vectors(embedder, few) if len(few) == len(needed) else embedder.layer_wise(list(needed))
    fanouts, seed = config.fanouts or experiment.pipeline.train.fanouts, experiment.pipeline.seed
    vectors: dict[NodeType, Vectors] = {}
    for node_type in needed:
        if node_type in few:
            ids = np.unique(few[node_type])
            values = embedder.mini_batch(node_type, ids, fanouts, seed)
            vectors[node_type] = cast("Vectors", SomeVectors(ids, values, manifest.node(node_type).count))
        else:
            vectors[node_type] = embedder.mini_batch_all(node_type, fanouts, seed)
    return vectors


def own_shards(
    experiment: Experiment, row_type: RowType, shard_rows: int, rows: IntArray | None = None
) -> Iterator[Rows]:
    """This rank's rows of a type, in parts of at most `shard_rows`. rows: those that are asked for; None: all."""
    group = experiment.task.group
    if rows is not None:
        mine = group.mine(rows)
        for part in shards(0, len(mine), shard_rows):
            yield mine[part]
        return
    bounds = row_bounds(experiment.graph, row_type, group)
    yield from shards(int(bounds[group.rank]), int(bounds[group.rank + 1]), shard_rows)


def embedding_tables(
    experiment: Experiment, node_type: NodeType, vectors: Vectors, nodes: IntArray | None = None
) -> Iterator[pa.Table]:
    """id, embedding. nodes: those that are asked for; None: all."""
    config = experiment.pipeline.infer
    for part in own_shards(experiment, node_type, config.shard_rows, nodes):
        ids = experiment.graph.ids_of(node_type, row_ids(part))
        yield pa.table({"id": ids, "embedding": list_column(np.asarray(vectors[part]), config.dtype)})


def link_tables(
    experiment: Experiment, ends: EndVectors, vectors: Vectors, nodes: IntArray | None = None
) -> Iterator[pa.Table]:
    """id, vector: what the head compares. vectors: [count, D] of all nodes of the type. nodes: those that are asked
    for; None: all."""
    config = experiment.pipeline.infer
    for part in own_shards(experiment, ends.node_type, config.shard_rows, nodes):
        ids = experiment.graph.ids_of(ends.node_type, row_ids(part))
        yield pa.table({"id": ids, "vector": list_column(ends.of(vectors[part]), config.dtype)})


def prediction_tables(experiment: Experiment, predictions: Predictions) -> Iterator[pa.Table]:
    """What the task predicts, for every node or edge of the label's type (or every source of a link) that is asked
    for."""
    shard_rows = max(1, experiment.pipeline.infer.shard_rows // max(predictions.per_row, 1))
    for part in own_shards(experiment, predictions.row_type, shard_rows, predictions.rows):
        yield predictions.table(part)
