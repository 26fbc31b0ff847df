"""One relation of a task: the training edges, and how its targets are ranked. An inverse has those of its relation,
swapped (`config.inverses`): its targets are sources."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.baselines.links.shared import Shared
from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.link_heads import LinkHead
from graphstorm_like.tasks.link_training import LinkTask
from graphstorm_like.tasks.links import LinkRanker
from graphstorm_like.tasks.ranking import Ranks

Rows = npt.NDArray[np.float32]
Scorer = Callable[[IntArray], Rows]
"""Sources [n] -> scores [n, all nodes of the target type]"""
MOST_NODES = 1 << 24
"""Positions of nodes travel as float32 through the ranking."""


class Relation:
    """shape: nodes of the types of both ends; sources, targets: of the training edges."""

    def __init__(self, task: LinkTask, edge_type: EdgeType, train: IntArray, shared: Shared) -> None:
        self.task, self.edge_type, self.shared = task, edge_type, shared
        self.sources, self.targets = directed_edges(shared.graph, edge_type, train)
        self.shape = (shared.count(edge_type[0]), shared.count(edge_type[2]))

    @cached_property
    def train(self) -> Any:
        """Sparse [sources, targets]: 1 where there is a training edge."""
        import scipy.sparse as sp

        ones = np.ones(len(self.sources), dtype=np.float32)
        matrix = sp.csr_matrix((ones, (self.sources, self.targets)), shape=self.shape)
        matrix.data[:] = 1.0
        return matrix

    @cached_property
    def popularity(self) -> Rows:
        """log(1 + training edges into each node) [targets], the largest 1."""
        counts = np.log1p(np.bincount(self.targets, minlength=self.shape[1]))
        shares: Rows = (counts / max(counts.max(), 1e-9)).astype(np.float32)
        return shares

    def constant(self, sources: IntArray) -> Rows:
        """A Scorer that knows nothing."""
        return np.zeros((len(sources), self.shape[1]), dtype=np.float32)

    def with_popularity(self, scorer: Scorer) -> Scorer:
        """A Scorer whose ties popularity breaks."""

        def broken(sources: IntArray) -> Rows:
            scores = scorer(sources)
            top = np.maximum(np.abs(scores).max(axis=1, keepdims=True), 1e-9)
            ordered: Rows = scores / top + 1e-3 * self.popularity
            return ordered

        return broken

    def ranks(self, scorer: Scorer, rows: IntArray, seed: int) -> Ranks:
        """Of the targets of some edges, as the task ranks them."""
        head = self._ranker.head
        assert isinstance(head, ByPosition)
        head.scorer = scorer
        return self._ranker.ranks(self._positions, rows, self.task.config.ranking.candidates, seed)

    @cached_property
    def _ranker(self) -> LinkRanker:
        """One for all models: what it knows of true targets takes longer to make than many a model."""
        head, config = ByPosition(self.constant, self.shape[1]), self.task.config.ranking
        return LinkRanker(self.task, self.shared.graph, self.edge_type, head, config.exclude_source)

    def _positions(self, node_type: NodeType, ids: IntArray | None, times: Times | None = None) -> Rows:
        """Instead of vectors of nodes [n, D]: their positions [n, 1]."""
        wanted = np.arange(self.shared.count(node_type)) if ids is None else ids
        return wanted.astype(np.float32)[:, None]


class ByPosition(LinkHead):
    """A head that looks scores up: instead of vectors it gets positions of nodes."""

    is_inner_product = False

    def __init__(self, scorer: Scorer, targets: int) -> None:
        torch.nn.Module.__init__(self)
        self.scorer, self._targets = scorer, targets

    def scores(self, sources: Tensor, targets: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead. targets: all nodes of their type."""
        assert len(targets) == self._targets
        found = self.scorer(sources[:, 0].long().numpy())
        return torch.from_numpy(np.array(found, dtype=np.float32))

    def pair_scores(self, sources: Tensor, targets: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead. sources [B, 1, 1], targets [B, C, 1] -> [B, C]."""
        of_sources, of_targets = sources[:, 0, 0].long().numpy(), targets[..., 0].long()
        out = torch.empty(of_targets.shape, dtype=torch.float32)
        most = max(1, 40_000_000 // self._targets)
        for start in range(0, len(out), most):
            part = slice(start, start + most)
            rows = torch.from_numpy(np.array(self.scorer(of_sources[part]), dtype=np.float32))
            out[part] = rows.gather(1, of_targets[part])
        return out
