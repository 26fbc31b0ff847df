"""What simple models of links have in common: the training edges, and the task's own ranking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.baselines.outcome import Scores, Setting
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.link_heads import LinkHead
from graphstorm_like.ranks.group import SINGLE_PROCESS
from graphstorm_like.sampling.rng import stream
from graphstorm_like.tasks import LinkPrediction
from graphstorm_like.tasks.links import LinkRanker
from graphstorm_like.tasks.metrics import Metrics

Rows = npt.NDArray[np.float32]
Scorer = Callable[[IntArray], Rows]
"""Sources [n] -> scores [n, all nodes of the target type]"""
MOST_NODES = 1 << 24
"""Positions of nodes travel as float32 through the ranking."""
VALID_EDGES = 2000
"""Validation edges that choose a setting, at most."""


class LinkData:
    """Training edges of a task's edge type, and the union of all edges that it may see."""

    def __init__(self, task: LinkPrediction, seed: int, union: UnionGraph) -> None:
        self.task, self.seed, self.union, self.graph = task, seed, union, task.graph
        self.edge_type: EdgeType = task.edge_type
        self.sources, self.targets = self.graph.edges(self.edge_type, task.rows("train"))
        self.shape = (self._count(self.edge_type[0]), self._count(self.edge_type[2]))

    def _count(self, node_type: NodeType) -> int:
        return self.graph.manifest.node(node_type).count

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

    def ranked(self, name: str, scorer: Scorer) -> Iterator[Setting]:
        """Settings of a scorer: ties stay, or popularity breaks them."""

        def broken(sources: IntArray) -> Rows:
            scores = scorer(sources)
            top = np.maximum(np.abs(scores).max(axis=1, keepdims=True), 1e-9)
            ordered: Rows = scores / top + 1e-3 * self.popularity
            return ordered

        yield self.setting(name, scorer)
        yield self.setting(f"{name}, ties by popularity", broken)

    def setting(self, name: str, scorer: Scorer) -> Setting:
        """One scorer."""
        return Setting(name, lambda split: self._score(scorer, split))

    def _score(self, scorer: Scorer, split: str) -> Scores:
        """The task's own metrics of a split; of `valid`, of some of its edges."""
        rows = self.task.rows(split)
        if split == "valid" and len(rows) > VALID_EDGES:
            rows = np.sort(stream(self.seed, "ranking", 1).permutation(rows)[:VALID_EDGES])
        config = self.task.config
        head = ByPosition(scorer, self.shape[1])
        ranker = LinkRanker(self.task, self.graph, self.edge_type, head, config.ranking.exclude_source)
        ranks = ranker.ranks(self._positions, rows, config.ranking.candidates, self.seed)
        return Metrics(config.metrics).measure(ranks, np.ones(len(ranks)), SINGLE_PROCESS)

    def _positions(self, node_type: NodeType, ids: IntArray | None, times: Times | None = None) -> Rows:
        """Instead of vectors of nodes [n, D]: their positions [n, 1]."""
        wanted = np.arange(self._count(node_type)) if ids is None else ids
        return wanted.astype(np.float32)[:, None]


class ByPosition(LinkHead):
    """A head that looks scores up: instead of vectors it gets positions of nodes."""

    is_inner_product = False

    def __init__(self, scorer: Scorer, targets: int) -> None:
        torch.nn.Module.__init__(self)
        self._scorer, self._targets = scorer, targets

    def scores(self, sources: Tensor, targets: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead. targets: all nodes of their type."""
        assert len(targets) == self._targets
        found = self._scorer(sources[:, 0].long().numpy())
        return torch.from_numpy(np.array(found, dtype=np.float32))

    def pair_scores(self, sources: Tensor, targets: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead. sources [B, 1, 1], targets [B, C, 1] -> [B, C]."""
        of_sources, of_targets = sources[:, 0, 0].long().numpy(), targets[..., 0].long()
        out = torch.empty(of_targets.shape, dtype=torch.float32)
        most = max(1, 40_000_000 // self._targets)
        for start in range(0, len(out), most):
            part = slice(start, start + most)
            rows = torch.from_numpy(np.array(self._scorer(of_sources[part]), dtype=np.float32))
            out[part] = rows.gather(1, of_targets[part])
        return out


class LinkBaseline(ABC):
    """A simple model of links."""

    name: ClassVar[str]

    @abstractmethod
    def unfit(self, data: LinkData) -> str | None:
        """Why it says nothing of this task; None: it does."""

    @abstractmethod
    def settings(self, data: LinkData) -> Iterator[Setting]:
        """Validation chooses among them."""
