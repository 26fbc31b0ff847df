"""Contrastive views of a graph (GRACE, Zhu et al. 2020). u_i, v_i: projections of node i's vectors in two views.

l(u_i, v_i) = -log exp(cos(u_i, v_i) / T) / (sum_j exp(cos(u_i, v_j) / T) + sum_{j != i} exp(cos(u_i, u_j) / T))

loss_i = (l(u_i, v_i) + l(v_i, u_i)) / 2, over a batch's seeds of one type, of this rank. A view lacks edges of the
sampled neighbourhood and columns of inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.tasks.graph_contrast import GraphContrastConfig
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.graph.store import Block, Graph, NodeType, Relation
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.tasks.base import TASKS
from graphstorm_like.tasks.self_supervised import SelfSupervised


@TASKS.register(GraphContrastConfig)
class GraphContrast(SelfSupervised):
    """See module."""

    def __init__(self, config: GraphContrastConfig, graph: Graph, hidden: int) -> None:
        super().__init__(config, graph)
        self.config = config
        self.projection = nn.Sequential(
            nn.Linear(hidden, config.projection), nn.ELU(), nn.Linear(config.projection, config.projection)
        )

    def views(self, batch: MiniBatch) -> tuple[MiniBatch, ...]:
        """See Task."""
        return two_views(self, batch, self.config.drop_edges, self.config.drop_features)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        return self.loss_of_views([vectors, vectors], batch)

    def loss_of_views(self, vectors: Sequence[dict[NodeType, Tensor]], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task. The weight is the number of seeds."""
        first, second = vectors
        total, count = torch.zeros((), device=self.device), 0
        for node_type, ids in batch.seeds.items():
            one, two = (self.projection(view[node_type]).float() for view in (first, second))
            total, count = total + contrast(one, two, self.config.temperature), count + len(ids)
        return total, float(count)


def two_views(
    task: SelfSupervised, batch: MiniBatch, drop_edges: Sequence[float], drop_features: Sequence[float]
) -> tuple[MiniBatch, ...]:
    """A batch without a part of its edges, and of the columns of its inputs; the same for every call."""
    found = []
    for number, (edges, columns) in enumerate(zip(drop_edges, drop_features, strict=True)):
        draw = task.draw(batch, number)
        blocks = tuple(without_edges(block, edges, draw) for block in batch.blocks)
        features = {}
        for node_type, by_name in batch.features.items():
            features[node_type] = {name: without_columns(rows, columns, draw) for name, rows in by_name.items()}
        found.append(batch.replace(blocks=blocks, features=features))
    return tuple(found)


def contrast(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The sum over rows of both views' [n, D] losses; see module."""
    u, v = F.normalize(first, dim=1), F.normalize(second, dim=1)
    across = u @ v.T / temperature
    same = torch.eye(len(u), dtype=torch.bool, device=u.device)
    rows = torch.arange(len(u), device=u.device)
    losses = []
    for own, other in ((u, across), (v, across.T)):
        within = (own @ own.T / temperature).masked_fill(same, float("-inf"))
        losses.append(F.cross_entropy(torch.cat([other, within], dim=1), rows, reduction="sum"))
    return (losses[0] + losses[1]) / 2.0


def without_columns(
    rows: Tensor | SparseRows[Tensor], part: float, draw: torch.Generator
) -> Tensor | SparseRows[Tensor]:
    """Rows [N, F] with a part of the columns at 0, the same for all."""
    kept = torch.rand(rows.shape[1], generator=draw) >= part
    if isinstance(rows, SparseRows):
        values = rows.values * kept.to(rows.values.device, rows.values.dtype)[rows.indices.long()]
        return replace(rows, values=values)
    return rows * kept.to(rows.device, rows.dtype)


def without_edges(block: Block[Tensor], part: float, draw: torch.Generator) -> Block[Tensor]:
    """A block without a part of its edges."""
    relations = {}
    for edge_type, relation in block.relations.items():
        kept = torch.rand(len(relation.sources), generator=draw) >= part
        if bool(kept.any()):  # relations without an edge are absent
            relations[edge_type] = of_kept(relation, kept.to(relation.sources.device))
    return replace(block, relations=relations)


def of_kept(relation: Relation[Tensor], kept: Tensor) -> Relation[Tensor]:
    """A relation with those of its edges that are kept [E]."""
    before = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.cumsum(0)])
    counts = before[relation.offsets.long()].to(relation.offsets.dtype)
    inputs = {name: rows[kept] for name, rows in relation.inputs.items()}
    has_edges = counts[1:] > counts[:-1]
    starts = torch.cat([counts[:1], counts[1:][has_edges]])
    return replace(
        relation,
        rows=relation.rows[has_edges],
        offsets=starts,
        sources=relation.sources[kept],
        edge_ids=relation.edge_ids[kept],
        inputs=inputs,
    )
