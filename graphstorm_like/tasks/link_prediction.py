"""Targets of the edges of one type. Scored by filtered ranking; target edges and their reverses are no messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.task import LinkPredictionConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.heads import LINK_HEADS
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch
from graphstorm_like.sampling.known import KnownTargets
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.stages import LinkSeeder
from graphstorm_like.tasks.base import Evaluation, Task
from graphstorm_like.tasks.ranking import full_ranks, ranking_metrics, sampled_ranks


class LinkPrediction(Task):
    """One edge type; head and loss by name; mrr and hits@k."""

    def __init__(self, config: LinkPredictionConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.config, self.graph, self.select_by = config, graph, config.select_by
        self.edge_type: EdgeType = config.edge_type
        self._rows = {s: graph.edge_rows(self.edge_type, s) for s in ("train", "valid", "test")}
        for split, rows in self._rows.items():
            if not len(rows):
                raise DataError(
                    f"{graph.folder}: edge type {edge_name(self.edge_type)} must have edges in split {split} (got none)"
                )
        self.head = LINK_HEADS.get(config.head.type)(config.head, hidden, [self.edge_type])
        self.link_loss = LINK_LOSSES.get(config.loss.type)(config.loss)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return tuple(dict.fromkeys((self.edge_type[0], self.edge_type[2])))

    def rows(self, split: str) -> IntArray:
        """See Task."""
        return self._rows[split]

    def seeder(self, seed: int, rank: int = 0) -> LinkSeeder:
        """Known true targets come from training edges only: validation and test stay unseen."""
        return LinkSeeder(self.graph, self.edge_type, self._rows["train"], self.config.negatives.uniform, seed, rank)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        targets = batch.targets
        assert isinstance(targets, LinkTargets)
        source, _, target = self.edge_type
        queries = self.head.source(vectors[source][targets.sources], self.edge_type)
        keys = self.head.target(vectors[target][torch.cat([targets.targets, targets.negatives])], self.edge_type)
        loss = self.link_loss(queries @ keys.T, targets.mask, self.config.negatives.in_batch)
        return loss, float(len(targets.sources))

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """All candidates need all vectors: layer-wise. Few need few: mini-batches."""
        return Evaluation("layer_wise" if self.config.ranking.candidates == "all" else "mini_batch", fanouts, seed)

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """Filtered: other known targets of a source, of any split, are no candidates; nor is the source itself."""
        source, target = self.graph.edges(self.edge_type, self._rows[split])
        if self.config.ranking.candidates == "all":
            ranks = self._full(embedder, source, target, how)
        else:
            ranks = self._sampled(embedder, source, target, int(self.config.ranking.candidates), how)
        return ranking_metrics(ranks, self.config.ranking.hits)

    @cached_property
    def known(self) -> KnownTargets:
        """True targets of every source, of any split."""
        return KnownTargets(*self.graph.edges(self.edge_type), self.graph.manifest.node(self.edge_type[0]).count)

    @cached_property
    def _known_keys(self) -> IntArray:
        source, target = self.graph.edges(self.edge_type)
        return np.sort(source * self.graph.manifest.node(self.edge_type[2]).count + target)

    @property
    def _same_type(self) -> bool:
        return self.edge_type[0] == self.edge_type[2]

    def _full(self, embedder: Embedder, source: IntArray, target: IntArray, how: Evaluation) -> npt.NDArray[np.float64]:
        vectors = self.all_vectors(embedder, how)
        queries = self.queries(vectors[self.edge_type[0]][source])
        keys = self.keys(vectors[self.edge_type[2]])
        return full_ranks(queries, keys, source, target, self.known, self._same_type)

    def _sampled(
        self, embedder: Embedder, source: IntArray, target: IntArray, count: int, how: Evaluation
    ) -> npt.NDArray[np.float64]:
        num_targets = self.graph.manifest.node(self.edge_type[2]).count
        candidates = stream(how.seed, "ranking").integers(num_targets, size=(len(source), count))
        keys = source[:, None] * num_targets + candidates
        at = np.minimum(np.searchsorted(self._known_keys, keys), len(self._known_keys) - 1)
        invalid = self._known_keys[at] == keys
        if self._same_type:
            invalid |= candidates == source[:, None]
        sources, source_at = np.unique(source, return_inverse=True)
        needed, at = np.unique(np.concatenate([target, candidates.ravel()]), return_inverse=True)
        queries = self.queries(how.vectors(embedder, self.edge_type[0], sources)[source_at])
        return sampled_ranks(
            queries,
            self.keys(how.vectors(embedder, self.edge_type[2], needed)),
            at[: len(target)],
            at[len(target) :].reshape(candidates.shape),
            invalid,
        )

    def all_vectors(self, embedder: Embedder, how: Evaluation) -> dict[NodeType, Vectors]:
        """Vectors of all nodes of both ends."""
        if how.mode == "layer_wise":
            return embedder.layer_wise(self.node_types)
        counts = {t: self.graph.manifest.node(t).count for t in self.node_types}
        return {t: how.vectors(embedder, t, np.arange(n)) for t, n in counts.items()}

    @torch.inference_mode()
    def queries(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of sources -> [n, D], ready for inner products."""
        return self._mapped(vectors, self.head.source)

    @torch.inference_mode()
    def keys(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of targets -> [n, D], ready for inner products."""
        return self._mapped(vectors, self.head.target)

    def _mapped(self, vectors: Vectors, end: Callable[[Tensor, EdgeType], Tensor]) -> Tensor:
        self.eval()
        return end(torch.from_numpy(np.asarray(vectors)).to(self.device), self.edge_type).float()
