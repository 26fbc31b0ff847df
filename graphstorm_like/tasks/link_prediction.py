"""Targets of the edges of one type. Scored by filtered ranking; target edges and their reverses are no messages."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.tasks.link_prediction import LinkPredictionConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.link_heads import LINK_HEADS
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.known import KnownTargets
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.seeds import ALONE as ALL_ROWS
from graphstorm_like.sampling.seeds import Share
from graphstorm_like.tasks.base import Evaluation, Task
from graphstorm_like.tasks.links import LinkRanker, sum_of_losses
from graphstorm_like.tasks.ranking import ranking_metrics


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
        self.head = LINK_HEADS.of(config.head)(config.head, hidden, [self.edge_type])
        self.relations = tuple(map(edge_name, self.head.index))
        self.link_loss = LINK_LOSSES.of(config.loss)(config.loss)
        self.ranker = LinkRanker(self, graph, self.edge_type, self.head)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return tuple(dict.fromkeys((self.edge_type[0], self.edge_type[2])))

    def rows(self, split: str) -> IntArray:
        """See Task."""
        return self._rows[split]

    def seeder(self, seed: int, share: Share = ALL_ROWS) -> LinkSeeder:
        """Known true targets come from training edges only: validation and test stay unseen."""
        train = {self.edge_type: self._rows["train"]}
        return LinkSeeder(self.graph, train, self.config.negatives, seed, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        return sum_of_losses(self, self.head, self.link_loss, vectors, batch, self.config.negatives.in_batch)

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """All candidates need all vectors: layer-wise. Few need few: mini-batches."""
        return Evaluation("layer_wise" if self.config.ranking.candidates == "all" else "mini_batch", fanouts, seed)

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """Filtered: other known targets of a source, of any split, are no candidates; nor is the source itself."""
        find = how.lookup(embedder, self.node_types)
        ranks = self.ranker.ranks(find, self._rows[split], self.config.ranking.candidates, how.seed)
        return ranking_metrics(ranks, self.config.ranking.hits, self.group)

    @property
    def known(self) -> KnownTargets:
        """True targets of every source, of any split."""
        return self.ranker.known

    def queries(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of sources -> [n, D], ready for inner products."""
        return self.ranker.queries(vectors)

    def keys(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of targets -> [n, D], ready for inner products."""
        return self.ranker.keys(vectors)
