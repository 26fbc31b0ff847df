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
