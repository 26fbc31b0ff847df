"""Which partition each node goes to.

In: an opened graph folder and its types. Out: by node type int32 (n), the partition of each node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gconstruct.opened import GraphFiles
from graphstorm_like.config.graph import PartitionsConfig
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    EdgeTypeSchema,
    NodeTypeSchema,
    label_split_column,
)

Assignment = dict[str, np.ndarray]


def check_method(config: PartitionsConfig) -> None:
    """Raises MissingExtraError before the work begins, instead of in the middle of it."""
    if config.count > 1 and config.method == "metis":
        from graphstorm_like.graph.dgl.metis import require_dgl

        require_dgl()


def assign(
    files: GraphFiles, nodes: Mapping[str, NodeTypeSchema], edges: Sequence[EdgeTypeSchema], config: PartitionsConfig
) -> Assignment:
    """A partition for every node, by the method of `config`."""
    if config.count > 1 and config.method == "metis":
        return _metis(files, nodes, edges, config.count, config.seed)
    counts = {name: node.count for name, node in nodes.items()}
    return at_random(counts, config.count, config.seed)


def at_random(counts: Mapping[str, int], partitions: int, seed: int) -> Assignment:
    """Partitions of one type differ by at most one node. Which ones get one more is random too: otherwise small types
    would all be in the first partition."""
    assignment = {}
    for number, (name, count) in enumerate(counts.items()):
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
        first = rng.integers(partitions)
        assignment[name] = rng.permutation((np.arange(count) + first) % partitions).astype(np.int32)
    return assignment


def _metis(
    files: GraphFiles, nodes: Mapping[str, NodeTypeSchema], edges: Sequence[EdgeTypeSchema], partitions: int, seed: int
) -> Assignment:
    from graphstorm_like.graph.dgl.metis import metis_assignment

    starts = dict(zip(nodes, np.cumsum([0, *(node.count for node in nodes.values())]).tolist(), strict=False))
    total = sum(node.count for node in nodes.values())
    # METIS has a fixed seed of its own; a different order of the nodes changes its random choices.
    place = np.arange(total)
    if seed:
        place = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed]))).permutation(total)
    classes = np.empty(total, np.int64)
    classes[place] = _classes(files, nodes)
    parts = metis_assignment(*_undirected(files, edges, starts, place), classes, partitions)[place].astype(np.int32)
    return {name: parts[starts[name] : starts[name] + node.count] for name, node in nodes.items()}


def _classes(files: GraphFiles, nodes: Mapping[str, NodeTypeSchema]) -> np.ndarray:
    """int64 (all nodes): one class for the training nodes of each node type, and one for its other nodes."""
    by_type = [np.empty(0, np.int64)]
    for number, (name, node) in enumerate(nodes.items()):
        trained = np.zeros(node.count, bool)
        for label in node.labels:
            trained |= files.nodes(name).numbers(label_split_column(label)) == SPLITS.index("train")
        by_type.append(2 * number + trained)
    return np.concatenate(by_type)


def _undirected(
    files: GraphFiles, edges: Sequence[EdgeTypeSchema], starts: Mapping[str, int], place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """CSR of all edges in both directions, without self-loops; parallel edges of all types are merged.

    Reverse types are skipped: they hold the same edges again. For sorting, a pair of nodes is one number.
    """
    total = len(place)
    pairs = np.empty(0, np.int64)
    for edge in edges:
        if edge.is_reverse:
            continue
        rows = files.edges(edge.edge_type)
        source = place[rows.numbers(SOURCE_COLUMN) + starts[edge.edge_type[0]]]
        target = place[rows.numbers(TARGET_COLUMN) + starts[edge.edge_type[2]]]
        keys = np.minimum(source, target) * total + np.maximum(source, target)
        pairs = np.union1d(pairs, keys[source != target])
    low, high = np.divmod(pairs, max(total, 1))
    pairs = np.sort(np.concatenate([pairs, high * total + low]))
    return np.searchsorted(pairs, np.arange(total + 1) * total), pairs % max(total, 1)
