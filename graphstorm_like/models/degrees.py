"""What degrees make of the edges of a sampled neighbourhood.

A relation whose layers read degrees brings DEGREES [E, 3] of its edges (j -> i): d_j and d_i, the edges of all types
into their ends, and d_ir, the edges of relation r into i. Of these d_ir a batch holds k_ir; the sampled edges stand for
all when each counts d_ir / k_ir times, so that sums do not depend on the fanout, in training and in inference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphstorm_like.graph.store import Block, NodeType, Relation

DEGREES = "@degrees"
"""Name among a relation's inputs; no feature of the user may have this name."""


def edges_per_sampled(relation: Relation) -> Tensor:
    """d_ir / k_ir of each edge [E]: how many edges it stands for."""
    counts = relation.offsets.diff()
    return relation.inputs[DEGREES][:, 2] / counts.repeat_interleave(counts)


def symmetric_factors(relation: Relation) -> Tensor:
    """1 / sqrt((d_i + 1)(d_j + 1)) of each edge [E], times the edges that it stands for."""
    degrees = relation.inputs[DEGREES]
    ends = (degrees[:, 0] + 1.0) * (degrees[:, 1] + 1.0)
    return edges_per_sampled(relation) * ends.rsqrt()


def target_degrees(block: Block, node_type: NodeType) -> Tensor:
    """d_i of the target nodes of a type [n, 1]; 0 where the block has no edge into one."""
    into = [relation for edge_type, relation in block.relations.items() if edge_type[2] == node_type]
    device = into[0].rows.device if into else None
    degrees = torch.zeros(block.num_dst[node_type], 1, device=device)
    for relation in into:
        degrees = degrees.index_copy(0, relation.rows, relation.inputs[DEGREES][relation.offsets[:-1], 1:2].float())
    return degrees
