"""Features and texts of edges, for the model's messages and for a head that reads the scored edges."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.graph.moments import Moments, magnitude_moments, magnitude_of
from graphstorm_like.graph.store import Graph, RowType
from graphstorm_like.inputs.choose import chosen_edge_inputs, scored_inputs
from graphstorm_like.inputs.source import Sized, TextSource
from graphstorm_like.modality import TEXT, input_name
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.steps import FeatureSource, GraphFeature
from graphstorm_like.tasks import Task


def give_scored_inputs(
    task: Task, config: TaskConfig, graph: Graph, texts: Mapping[RowType, Mapping[str, Sized]], seed: int
) -> None:
    """Let the head read the scored edges, when `task.inputs` is set. texts: sources of text vectors, by type and name.
    seed: the run's seed, for the head's first weights."""
    for edge_type, (features, names) in scored_inputs(config, graph.manifest).items():
        schemas = graph.manifest.edge(edge_type).features
        widths = {name: schemas[name].width for name in features}
        magnitudes = {name: found for name in features if (found := magnitude_of(schemas[name])) is not None}
        sources: dict[str, FeatureSource] = {name: GraphFeature(graph, edge_type, name) for name in features}
        for name in names:
            full_name = input_name(TEXT, name)
            sources[full_name] = texts[edge_type][name]
            widths[full_name] = texts[edge_type][name].width
        torch.manual_seed(torch_seed(seed, "model", 4))
        task.read_edges(widths, sources, magnitudes)


def edge_sources(
    config: ModelConfig, graph: Graph, vectors: Mapping[RowType, Mapping[str, TextSource]]
) -> tuple[dict[RowType, dict[str, FeatureSource]], dict[EdgeType, EdgeInputSpec]]:
    """Sources of the rows of edge inputs, and their specifications for the model."""
    sources: dict[RowType, dict[str, FeatureSource]] = {}
    specs: dict[EdgeType, EdgeInputSpec] = {}
    for edge_type, (features, texts) in chosen_edge_inputs(config, graph.manifest).items():
        schema = graph.manifest.edge(edge_type)
        cached = {input_name(TEXT, name): vectors[edge_type][name] for name in texts}
        widths = {name: schema.features[name].width for name in features}
        widths |= {name: source.width for name, source in cached.items()}
        sources[edge_type] = {name: GraphFeature(graph, edge_type, name) for name in features}
        sources[edge_type].update(cached)
        moments: dict[str, Moments] = {name: source.moments() for name, source in cached.items()}
        for name in features:
            if (found := magnitude_moments(schema.features[name])) is not None:
                moments[name] = found
        specs[edge_type] = EdgeInputSpec(widths, moments)
    return sources, specs
