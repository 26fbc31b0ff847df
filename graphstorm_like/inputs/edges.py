"""Which features and texts of edges enter the model and the head, and where their rows come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.tasks.labels import EdgeLabelConfig
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, RowType
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.stages import FeatureSource, GraphFeature
from graphstorm_like.tasks import EdgeLabelTask, Task

if TYPE_CHECKING:
    from graphstorm_like.inputs.text import TextSource


def chosen_edge_inputs(config: ModelConfig, manifest: GraphManifest) -> dict[EdgeType, tuple[list[str], list[str]]]:
    """(features, texts) that enter the model, for each edge type of `model.edge_inputs`."""
    chosen = {}
    for written, wanted in config.edge_inputs.items():
        source, relation, target = written.split(":")
        edge = manifest.edge((source, relation, target))
        features = list(edge.features) if wanted.features is None else wanted.features
        texts = list(edge.text) if wanted.text is None else wanted.text
        for kind, names, known in (("feature", features, edge.features), ("text", texts, edge.text)):
            for name in names:
                if name not in known:
                    where = f"graph folder, edge type {written}"
                    raise DataError(unknown(where, kind, name, known) + " Run: gsl construct")
        if features or texts:
            chosen[edge.edge_type] = (features, texts)
    return chosen


def unread_edge_types(config: ModelConfig, manifest: GraphManifest, scored: Collection[EdgeType] = ()) -> list[str]:
    """Edge types that carry features or text of which the model is told nothing. scored: those that a head reads."""
    return [
        name
        for e in manifest.edges
        if (e.features or e.text) and (name := edge_name(e.edge_type)) not in config.edge_inputs
        if e.edge_type not in scored and e.reverse not in scored
    ]


def scored_inputs(task: TaskConfig, manifest: GraphManifest) -> dict[EdgeType, tuple[list[str], list[str]]]:
    """(features, texts) of the scored edges that the task's head reads, by their edge type; nothing without
    `task.inputs`."""
    if not isinstance(task, EdgeLabelConfig) or task.inputs is None:
        return {}
    edge = manifest.edge(task.edge_type)
    features = list(edge.features) if task.inputs.features is None else task.inputs.features
    texts = list(edge.text) if task.inputs.text is None else task.inputs.text
    where = f"graph folder, edge type {edge_name(task.edge_type)}"
    for kind, names, known in (("feature", features, edge.features), ("text", texts, edge.text)):
        for name in names:
            if name not in known:
                raise DataError(unknown(where, kind, name, known) + " Run: gsl construct")
    if not features and not texts:
        raise DataError(f"{where}: must have features or text for task.inputs to name (got none)")
    return {task.edge_type: (features, texts)}


class Sized(FeatureSource, Protocol):
    """A FeatureSource that knows its width."""

    @property
    def width(self) -> int:
        """F"""
        ...


def give_scored_inputs(
    task: Task, pipeline: Pipeline, graph: Graph, texts: Mapping[RowType, Mapping[str, Sized]]
) -> None:
    """Let the head read the scored edges, when `task.inputs` says so. texts: where the vectors of texts come from, by
    type and name."""
    for edge_type, (features, names) in scored_inputs(pipeline.task, graph.manifest).items():
        assert isinstance(task, EdgeLabelTask)
        known = graph.manifest.edge(edge_type).features
        widths = {name: known[name].width for name in features}
        sources: dict[str, FeatureSource] = {name: GraphFeature(graph, edge_type, name) for name in features}
        for name in names:
            sources[f"text:{name}"] = texts[edge_type][name]
            widths[f"text:{name}"] = texts[edge_type][name].width
        torch.manual_seed(torch_seed(pipeline.seed, "model", 4))
        task.read_edges(widths, sources)


def edge_sources(
    config: ModelConfig, graph: Graph, vectors: Mapping[RowType, Mapping[str, TextSource]]
) -> tuple[dict[RowType, dict[str, FeatureSource]], dict[EdgeType, EdgeInputSpec]]:
    """Where the rows of edge inputs come from, and what the model must know of them."""
    sources: dict[RowType, dict[str, FeatureSource]] = {}
    specs: dict[EdgeType, EdgeInputSpec] = {}
    for edge_type, (features, texts) in chosen_edge_inputs(config, graph.manifest).items():
        schema = graph.manifest.edge(edge_type)
        cached = {f"text:{name}": vectors[edge_type][name] for name in texts}
        widths = {name: schema.features[name].width for name in features}
        widths |= {name: source.width for name, source in cached.items()}
        sources[edge_type] = {**{name: GraphFeature(graph, edge_type, name) for name in features}, **cached}
        specs[edge_type] = EdgeInputSpec(widths, {name: source.moments() for name, source in cached.items()})
    return sources, specs


def text_rows(graph: Graph, row_type: RowType) -> tuple[RowType, IntArray | None]:
    """(type whose text column is to be embedded, its row for each row of `row_type`; None: the same row).

    A reverse edge type has its original's texts in another order: they are embedded once. Both are sorted by target,
    then source, stably, so that sorting the original by the reverse's key gives the reverse.
    """
    if isinstance(row_type, str) or not (edge := graph.manifest.edge(row_type)).is_reverse or edge.reverse is None:
        return row_type, None
    source, target = graph.edges(edge.reverse)
    order: IntArray = np.lexsort((target, source))
    found = graph.edges(row_type)
    if not (np.array_equal(target[order], found[0]) and np.array_equal(source[order], found[1])):
        return row_type, None
    return edge.reverse, order
