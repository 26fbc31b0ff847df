"""`method: metis`: all node and edge types as one undirected graph, partitioned by METIS (see graph.dgl.metis)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gconstruct.partitioners.base import PARTITIONERS, Assignment, OpenedGraph, Partitioner
from graphstorm_like.config.partitioners import MetisPartitions
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN


@PARTITIONERS.register(MetisPartitions)
class MetisPartitioner(Partitioner[MetisPartitions]):
    """Memory: about 80 bytes per edge here (reverse types not counted), then 90 in METIS's own process."""

    def check(self) -> None:
        """Whether dgl is installed."""
        from graphstorm_like.graph.dgl.metis import require_dgl

        require_dgl()

    def assign(self, graph: OpenedGraph) -> Assignment:
        """See Partitioner."""
        from graphstorm_like.graph.dgl.metis import metis_assignment

        nodes, seed = graph.nodes, self.config.seed
        starts = dict(zip(nodes, np.cumsum([0, *(node.count for node in nodes.values())]).tolist(), strict=False))
        total = sum(node.count for node in nodes.values())
        # METIS has a fixed seed of its own; a different order of the nodes changes its random choices.
        place = np.arange(total)
        if seed:
            place = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed]))).permutation(total)
        classes = np.empty(total, np.int64)
        classes[place] = _classes(graph)
        indptr, indices = _undirected(graph, starts, place)
        parts = metis_assignment(indptr, indices, classes, self.config.count)[place].astype(np.int32)
        return {name: parts[starts[name] : starts[name] + node.count] for name, node in nodes.items()}


def _classes(graph: OpenedGraph) -> np.ndarray:
    """int64 (all nodes): one class for the training nodes of each node type, and one for its other nodes."""
    by_type = [np.empty(0, np.int64)]
    by_type += [2 * number + graph.is_training(name) for number, name in enumerate(graph.nodes)]
    return np.concatenate(by_type)


def _undirected(graph: OpenedGraph, starts: Mapping[str, int], place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CSR of all edges in both directions, without self-loops; parallel edges of all types are merged.

    Reverse types are skipped: they hold the same edges again. For sorting, a pair of nodes is one number.
    """
    total = len(place)
    pairs = np.empty(0, np.int64)
    for edge in graph.edges:
        if edge.is_reverse:
            continue
        rows = graph.files.edges(edge.edge_type)
        source = place[rows.numbers(SOURCE_COLUMN) + starts[edge.edge_type[0]]]
        target = place[rows.numbers(TARGET_COLUMN) + starts[edge.edge_type[2]]]
        keys = np.minimum(source, target) * total + np.maximum(source, target)
        pairs = np.union1d(pairs, keys[source != target])
    low, high = np.divmod(pairs, max(total, 1))
    pairs = np.sort(np.concatenate([pairs, high * total + low]))
    return np.searchsorted(pairs, np.arange(total + 1) * total), pairs % max(total, 1)
