"""Mean of neighbours for every relation of a block, with one kernel a source type.

Measured (2 threads, 40k edges, 25k sources, D=128, forward + backward): embedding_bag 8.7 cpu-ms; gather + index_add
9.6; CSR matmul 10.5; segment_reduce 28. All relations of a source type share one call, because each call's backward
writes a dense gradient of that type's size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Block, NodeType, Relation


def relation_means(block: Block, hidden: dict[NodeType, Tensor]) -> Iterator[tuple[EdgeType, Tensor, Tensor]]:
    """(edge type, rows [M], mean of the sources of each row [M, D]) of each relation that has edges.

    hidden: [num_src, D] per type.
    """
    by_source: dict[NodeType, list[tuple[EdgeType, Relation]]] = {}
    for edge_type, relation in block.relations.items():
        by_source.setdefault(edge_type[0], []).append((edge_type, relation))
    for source, relations in by_source.items():
        starts, first = [], 0
        for _, relation in relations:
            starts.append(relation.offsets[:-1] + first)
            first += len(relation.sources)
        means = F.embedding_bag(
            torch.cat([r.sources for _, r in relations]), hidden[source], torch.cat(starts), mode="mean"
        )
        parts = torch.split(means, [len(r.rows) for _, r in relations])
        for (edge_type, relation), part in zip(relations, parts, strict=True):
            yield edge_type, relation.rows, part


class TargetSums:
    """Collects messages to target rows and adds them up with one kernel a node type."""

    def __init__(self) -> None:
        self._rows: dict[NodeType, list[Tensor]] = {}
        self._messages: dict[NodeType, list[Tensor]] = {}

    def add(self, node_type: NodeType, rows: Tensor, messages: Tensor) -> None:
        """messages [M, D] to rows [M] of a node type."""
        self._rows.setdefault(node_type, []).append(rows)
        self._messages.setdefault(node_type, []).append(messages)

    def onto(self, node_type: NodeType, start: Tensor) -> Tensor:
        """start [n, D], plus what came for each row."""
        if node_type not in self._rows:
            return start
        messages = torch.cat(self._messages[node_type]).to(start.dtype)
        return start.index_add(0, torch.cat(self._rows[node_type]), messages)
