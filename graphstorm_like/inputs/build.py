"""Config + graph folder -> all inputs of a graph model: the sources of their rows, and the facts its encoders need."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.graph.moments import Moments, magnitude_moments, rare_moments
from graphstorm_like.graph.store import Graph, NodeType, RowType
from graphstorm_like.inputs.choose import chosen_inputs
from graphstorm_like.inputs.edge_facts import edge_facts
from graphstorm_like.inputs.edges import edge_sources
from graphstorm_like.inputs.hops import Origin, hop_inputs
from graphstorm_like.inputs.images import GraphImage
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.inputs.source import TextVectors
from graphstorm_like.modality import IMAGE, TEXT, input_name
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.models.image_encoders import ImageInputSpec
from graphstorm_like.models.inputs import EMBEDDING, NodeInputSpec
from graphstorm_like.sampling.steps import FeatureSource, node_feature

Sources = dict[RowType, dict[str, FeatureSource]]
"""By node or edge type and name of the input."""


@dataclass(frozen=True)
class GraphInputs:
    """Sources of all inputs of a graph model, and their specifications for its encoders."""

    sources: Sources
    nodes: dict[NodeType, NodeInputSpec]
    edges: dict[EdgeType, EdgeInputSpec]


def graph_inputs(config: ModelConfig, graph: Graph, vectors: TextVectors, seed: int) -> GraphInputs:
    """Inputs of every node type, and of the edge types that `model.edge_inputs` names. seed: the run's seed, for the
    first values of learnable embeddings."""
    sources: Sources = {}
    specs: dict[NodeType, NodeInputSpec] = {}
    averaged: dict[Origin, int] = {}
    for node_type, node in graph.manifest.nodes.items():
        chosen = chosen_inputs(config, graph.manifest, node_type)
        inputs: dict[str, FeatureSource] = {n: node_feature(graph, node_type, n) for n in chosen.features}
        widths = {n: node.features[n].width for n in chosen.features}
        moments = {n: found for n in chosen.features if (found := magnitude_moments(node.features[n])) is not None}
        for name in chosen.texts:
            cached, full_name = vectors[node_type][name], input_name(TEXT, name)
            inputs[full_name], widths[full_name], moments[full_name] = cached, cached.width, cached.moments()
        images = {}
        for name in chosen.images:
            assert config.image_encoder is not None, "checked by the configuration"
            size, full_name = node.image[name], input_name(IMAGE, name)
            inputs[full_name] = GraphImage(graph, node_type, name)
            images[full_name] = ImageInputSpec(config.image_encoder, size.height, size.width)
        if chosen.embedding:
            inputs[EMBEDDING] = NodeEmbeddings(graph, node_type, config.gnn.hidden, seed)
        averaged |= {(node_type, name): width for name, width in widths.items()}
        sources[node_type] = inputs
        configured = config.inputs.get(node_type, NodeInputConfig())
        sparse = [name for name in chosen.features if node.features[name].sparse]
        encode = None if config.time is None or node.time is None else config.time.encode
        specs[node_type] = NodeInputSpec(
            widths,
            chosen.embedding,
            moments,
            images,
            sparse=sparse,
            is_plain=configured.activation == "none",
            layers=configured.layers,
            own_layers=configured.own_layers,
            time=encode,
        )
    if config.gnn.averaged_hops:
        _add_hops(graph, sources, specs, averaged, config.gnn.averaged_hops)
    elif built := [node_type for node_type, inputs in config.inputs.items() if inputs.neighbors]:
        _add_hops(graph, sources, specs, averaged, 1, built)
    of_edges, edge_specs = edge_sources(config, graph, vectors)
    if config.time is not None and config.time.encode is not None:
        for edge in graph.manifest.edges:
            if edge.time is not None:
                spec = edge_specs.get(edge.edge_type, EdgeInputSpec({}))
                edge_specs[edge.edge_type] = replace(spec, time=config.time.encode)
    for edge_type, facts in edge_facts(config.gnn, graph).items():
        of_edges[edge_type] = {**of_edges.get(edge_type, {}), **facts}
    return GraphInputs({**sources, **of_edges}, specs, edge_specs)


def _add_hops(
    graph: Graph,
    sources: Sources,
    specs: dict[NodeType, NodeInputSpec],
    widths: dict[Origin, int],
    reach: int,
    only: Collection[NodeType] | None = None,
) -> None:
    """Averages of neighbours' features and text vectors, as further inputs of every type, or of some types."""
    of_nodes = {node_type: sources[node_type] for node_type in specs}
    known: dict[Origin, Moments] = {}
    for node_type, name in widths:
        feature = graph.manifest.node(node_type).features.get(name)
        if feature is not None and (found := rare_moments(feature)) is not None:
            known[node_type, name] = found
    for node_type, made in hop_inputs(graph, of_nodes, widths, reach, only).items():
        spec = specs[node_type]
        sources[node_type] |= {name: each.table for name, each in made.items()}
        specs[node_type] = replace(
            spec,
            widths={**spec.widths, **{name: each.table.shape[1] for name, each in made.items()}},
            moments={**spec.moments, **{name: each.moments(known) for name, each in made.items()}},
            parts={name: len(each.parts) for name, each in made.items()},
        )
