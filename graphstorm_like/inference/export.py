"""Embeddings and predictions of a trained experiment, written under the user's own ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.schema import NO_LABEL, SPLITS
from graphstorm_like.graph.store import IntArray, NodeType, RowType
from graphstorm_like.inference.writers import ResultFolder, list_column, shards
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.tables import row_bounds
from graphstorm_like.sampling.known import KnownTargets
from graphstorm_like.tasks import EdgeLabelTask, LabelTask, LinkPrediction
from graphstorm_like.tasks.targets import ClassTarget
from graphstorm_like.training.experiment import Experiment


def export(
    experiment: Experiment, target: Path, model_id: str, embedder: Embedder, reporter: Reporter
) -> dict[str, Any]:
    """Compute and write what `infer:` asks for; returns the manifest. model_id: hash of the weights."""
    config = experiment.pipeline.infer
    node_types = config.embeddings if config.embeddings is not None else list(experiment.task.node_types)
    task = experiment.task
    if config.predictions and not task.predicts:
        reporter.line(f"predictions: none, {experiment.pipeline.task.type} has none to give; embeddings are written")
    predictions = config.predictions and task.predicts
    needed = list(dict.fromkeys([*node_types, *(task.node_types if predictions else ())]))
    vectors = node_vectors(experiment, needed, embedder)
    with ResultFolder(target, task.group) as folder:
        for node_type in node_types:
            rows = folder.write(f"embeddings/{node_type}", embedding_tables(experiment, node_type, vectors[node_type]))
            reporter.line(f"{node_type}: {rows:,} embeddings of {vectors[node_type].shape[1]} numbers")
        if predictions:
            rows = folder.write("predictions", prediction_tables(experiment, vectors, reporter))
            reporter.line(f"predictions: {rows:,} rows")
        facts: dict[str, Any] = {
            "model": model_id,
            "pipeline": experiment.pipeline.name,
            "task": experiment.pipeline.task.model_dump(mode="json"),
            "mode": config.mode,
        }
        if isinstance(task, LabelTask) and isinstance(task.target, ClassTarget):
            facts["classes"] = task.target.classes
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


def prediction_tables(
    experiment: Experiment, vectors: Mapping[NodeType, Vectors], reporter: Reporter
) -> Iterator[pa.Table]:
    """What the task predicts, for every node or edge of the label's type (or every source of a link)."""
    task = experiment.task
    if isinstance(task, LabelTask):
        yield from _label_tables(experiment, task, vectors)
    elif isinstance(task, LinkPrediction):
        yield from _link_tables(experiment, task, vectors, reporter)


def _label_tables(experiment: Experiment, task: LabelTask, vectors: Mapping[NodeType, Vectors]) -> Iterator[pa.Table]:
    """id (of an edge: source, target), then _predicted, then split; one row a node or edge, labelled or not.

    Edges are in the order of the graph: by target, then source.
    """
    splits = np.zeros(len(task.labels), dtype=np.int64)
    for split in SPLITS[1:]:
        splits[task.rows(split)] = SPLITS.index(split)
    row_type = task.edge_type if isinstance(task, EdgeLabelTask) else task.node_types[0]
    for part in own_shards(experiment, row_type, experiment.pipeline.infer.shard_rows):
        columns = _keys(experiment, task, part) | _predicted(task, task.predictions(vectors, part), part)
        table = pa.table(columns | {"split": pa.array(SPLITS).take(pa.array(splits[part]))})
        if isinstance(task.target, ClassTarget):
            table = table.replace_schema_metadata({"classes": "\n".join(task.target.classes)})
        yield table


def _keys(experiment: Experiment, task: LabelTask, part: slice) -> dict[str, pa.Array]:
    """The user's ids of some rows of a label."""
    graph, rows = experiment.graph, np.arange(part.start, part.stop)
    if not isinstance(task, EdgeLabelTask):
        return {"id": graph.ids_of(task.node_types[0], rows)}
    ends = graph.edges(task.edge_type, rows)
    types = (task.edge_type[0], task.edge_type[2])
    return {
        name: graph.ids_of(node_type, nodes)
        for name, node_type, nodes in zip(("source", "target"), types, ends, strict=True)
    }


def _predicted(task: LabelTask, predictions: Vectors, part: slice) -> dict[str, pa.Array]:
    """prediction and label: numbers, or names of classes, these with probability and probabilities (in the order of
    the classes). The label of a row without one is null."""
    labels = task.labels[part]
    if not isinstance(task.target, ClassTarget):
        return {"prediction": pa.array(predictions), "label": pa.array(labels, mask=np.isnan(labels))}
    names = pa.array(task.target.classes, pa.string())
    truth = pa.array(labels, pa.int32(), mask=labels == NO_LABEL)
    return {
        "prediction": names.take(pa.array(predictions.argmax(axis=1))),
        "probability": pa.array(predictions.max(axis=1)),
        "probabilities": list_column(predictions),
        "label": names.take(truth),
    }


def _link_tables(
    experiment: Experiment, task: LinkPrediction, vectors: Mapping[NodeType, Vectors], reporter: Reporter
) -> Iterator[pa.Table]:
    """source, target, score, rank: the best new targets of each source; edges that exist already are left out."""
    source_type, _, target_type = task.edge_type
    keys = task.keys(vectors[target_type])
    graph, manifest = experiment.graph, experiment.graph.manifest
    k = min(experiment.pipeline.infer.top_k, manifest.node(target_type).count)
    follow = reporter.follow()
    per_shard = max(1, experiment.pipeline.infer.shard_rows // max(k, 1))
    what = f"rank {edge_name(task.edge_type)}"
    count = manifest.node(source_type).count
    for part in own_shards(experiment, source_type, per_shard):
        rows = np.arange(part.start, part.stop)
        best, scores = [], []
        chunk = max(1, 40_000_000 // max(1, len(keys)))
        for start in range(0, len(rows), chunk):
            ids = rows[start : start + chunk]
            at, score = _best_targets(task, vectors[source_type][ids], keys, ids, task.known, k)
            best.append(at)
            scores.append(score)
            follow(what, int(ids[-1]) + 1, count)
        score = np.concatenate(scores).reshape(-1)
        # A source with fewer than k free targets gets fewer rows.
        free = np.flatnonzero(score > float("-inf"))
        yield pa.table(
            {
                "source": graph.ids_of(source_type, np.repeat(rows, k)[free]),
                "target": graph.ids_of(target_type, np.concatenate(best).reshape(-1)[free]),
                "score": score[free],
                "rank": np.tile(np.arange(1, k + 1, dtype=np.int32), len(rows))[free],
            }
        )


@torch.inference_mode()
def _best_targets(
    task: LinkPrediction, vectors: Vectors, keys: torch.Tensor, ids: IntArray, known: KnownTargets, k: int
) -> tuple[IntArray, Vectors]:
    """([n, k] targets, [n, k] scores) of n sources."""
    scores = task.queries(vectors) @ keys.T
    rows, other = known.pairs(ids)
    scores[torch.from_numpy(rows), torch.from_numpy(other)] = float("-inf")
    if task.edge_type[0] == task.edge_type[2]:
        scores[torch.arange(len(ids)), torch.from_numpy(ids)] = float("-inf")
    found = scores.topk(k, dim=1)
    return found.indices.cpu().numpy(), found.values.cpu().numpy()
