"""The known nodes whose vectors a request's new edges change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.overlay import Overlay
from graphstorm_like.graph.store import Graph, IntArray, NodeType


def changed_nodes(graph: Graph, new: Overlay, layers: int) -> dict[NodeType, IntArray]:
    """Positions of known nodes by type: those that a new edge leads to, and all that these lead to, over as many edges
    as the model has layers. Some of them may stay as they are."""
    reached = {name: np.empty(0, dtype=np.int64) for name in graph.manifest.nodes}
    for edge in graph.manifest.edges if layers else ():
        node_type, targets = edge.edge_type[2], new.new_edges(edge.edge_type)[1]
        known = targets[targets < graph.manifest.node(node_type).count]
        reached[node_type] = np.union1d(reached[node_type], known)
    for _ in range(layers - 1):
        reached = _and_behind(graph, reached)
    return reached


def _and_behind(graph: Graph, nodes: Mapping[NodeType, IntArray]) -> dict[NodeType, IntArray]:
    """Some nodes, and those that an edge leads to from them: of a relation with a reverse these are the sources of the
    reverse edges into them; of others all edges are looked through."""
    found = dict(nodes)
    sampled = graph.sample(dict(nodes), [FanoutByType(default=-1)], np.random.default_rng(0))
    for edge_type, relation in sampled.blocks[0].relations.items():
        into = sampled.input_ids[edge_type[0]][relation.sources]
        found[edge_type[0]] = np.union1d(found[edge_type[0]], into)
    for edge in graph.manifest.edges:
        if edge.reverse is None and not edge.is_reverse:
            sources, targets = graph.edges(edge.edge_type)
            behind = targets[np.isin(sources, nodes[edge.edge_type[0]])]
            found[edge.edge_type[2]] = np.union1d(found[edge.edge_type[2]], behind)
    return found
