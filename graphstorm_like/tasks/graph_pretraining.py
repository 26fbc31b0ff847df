"""Graph-aware pre-training: true edges of many relations against wrong ones (GaLM, Xie et al., KDD 2023).

A language model that learns this way takes up the graph's relations, and its vectors then serve other tasks; without a
GNN (`gnn: none`) this is GaLM's cheap form. The loss needs only the vectors of the batch's seeds and targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.batch_size import BatchSize, rows_a_step
from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.tasks.graph_pretraining import GraphPretrainingConfig
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.link_heads import LINK_HEADS
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.links import LinkSeeder, edge_starts
from graphstorm_like.sampling.seeds import ALL_ROWS, CappedSeedStream, RankSlice, SeedStream
from graphstorm_like.tasks.base import TASKS, Evaluation
from graphstorm_like.tasks.link_training import LinkTask
from graphstorm_like.tasks.links import (
    LinkRanker,
    check_selecting,
    describe_links,
    ranking_protocol,
    self_loop_note,
    self_loops,
)
from graphstorm_like.tasks.metrics import Metrics
from graphstorm_like.tasks.ranking import Ranks


@TASKS.register(GraphPretrainingConfig)
class GraphPretraining(LinkTask):
    """Several edge types; one head with parameters per relation; ranking metrics, averaged over relations.

    Where a relation has no split, the edges that the graph hides are held out to be scored.
    """

    predicts = False

    def __init__(self, config: GraphPretrainingConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        selected = selected_metric(config)
        self.config, self.graph = config, graph
        self.select_by, self.higher_is_better = config.select_by, selected.higher_is_better
        self.edge_types = list(config.relations(graph.manifest.original_edge_types()))
        self._starts = edge_starts(graph.manifest, self.edge_types)
        self._rows: dict[str, dict[EdgeType, IntArray]] = {"train": {}, "valid": {}, "test": {}}
        for edge_type in self.edge_types:
            for split, rows in relation_rows(graph, edge_type).items():
                self._rows[split][edge_type] = rows
        self._check_rows("train", "learn from")
        self.scored_splits = tuple(split for split in ("valid", "test") if self._has_rows(split))
        self.head = LINK_HEADS.of(config.head)(config.head, hidden, self.edge_types)
        self.relations = tuple(map(edge_name, self.head.index))
        self.link_loss = LINK_LOSSES.of(config.loss)(config.loss)
        self.begin_links(self.edge_types, hidden)
        exclude = config.ranking.exclude_source
        self.rankers = {e: LinkRanker(self, graph, e, self.head, exclude) for e in self.edge_types}
        self.protocol = ranking_protocol(config.ranking, self.edge_types)
        self._metrics = Metrics(config.metrics)

    def _has_rows(self, split: str) -> bool:
        return any(len(rows) for rows in self._rows[split].values())

    def _check_rows(self, split: str, purpose: str) -> None:
        if not self._has_rows(split) and not self.graph.only_scored:
            raise DataError(
                f"{self.graph.folder}: the edge types of graph_pretraining must have edges to {purpose} (got none in "
                f"{', '.join(map(edge_name, self.edge_types))}). Give one a split, or take relations of 50 edges "
                f"or more"
            )

    def check_validation(self) -> None:
        """See Task."""
        self._check_rows("valid", "validate on")
        check_selecting(self.select_by, self._rows["valid"], self.graph)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        ends: list[NodeType] = []
        for source, _, target in self.edge_types:
            ends += [source, target]
        return tuple(dict.fromkeys(ends))

    def rows(self, split: str) -> IntArray:
        """Numbers of edges, as `edge_starts` counts them through the relations."""
        of_relation = zip(self._starts[:-1], self._rows[split].values(), strict=True)
        return np.concatenate([start + rows for start, rows in of_relation])

    def relation_rows(self, split: str) -> Mapping[EdgeType, IntArray]:
        """See LinkTask."""
        return self._rows[split]

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """Which edges come when: batches mix the relations; `max_edges_per_relation` limits an epoch."""
        max_edges = self.config.max_edges_per_relation
        if max_edges is None:
            return super().stream(batch_size, seed)
        groups = tuple(len(rows) for rows in self._rows["train"].values())
        size = rows_a_step(batch_size, sum(min(count, max_edges) for count in groups))
        return CappedSeedStream(self.rows("train"), size, seed, groups=groups, most=max_edges)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> LinkSeeder:
        """Known true targets come from training edges only: held-out edges stay unseen."""
        seeder = LinkSeeder(
            self.graph,
            self._rows["train"],
            self.config.negatives,
            seed,
            share,
            self.config.max_edges_per_relation,
            edge_weight=self.config.edge_weight,
        )
        return self.with_seeder(seeder)

    def ranker_of(self, edge_type: EdgeType) -> LinkRanker:
        """See LinkTask."""
        return self.rankers[edge_type]

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        return self.links_loss(vectors, batch)

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """Layer-wise when all nodes are candidates, which needs all vectors; else mini-batches."""
        return Evaluation("layer_wise" if self.config.ranking.candidates == "all" else "mini_batch", fanouts, seed)

    def summary(self, ranks: Mapping[EdgeType, Ranks]) -> dict[str, float]:
        """Means over the relations with edges in the split, then each relation's own: 'mrr/source:relation:target'."""
        scores: dict[EdgeType, dict[str, float]] = {}
        for edge_type, of_edges in ranks.items():
            scores[edge_type] = self._metrics.measure(of_edges.rank, of_edges.candidates, self.group)
        metrics: dict[str, float] = {}
        for name in next(iter(scores.values())):
            metrics[name] = float(np.mean([of_relation[name] for of_relation in scores.values()]))
        for edge_type, of_relation in scores.items():
            for name, value in of_relation.items():
                metrics[f"{name}/{edge_name(edge_type)}"] = value
        return metrics

    def notes(self) -> Iterator[str]:
        """See Task."""
        yield from super().notes()
        for edge_type in self.edge_types:
            rows = np.concatenate([self._rows[split][edge_type] for split in ("valid", "test")])
            if loops := self_loops(self.graph, edge_type, rows):
                yield self_loop_note(edge_type, loops, len(rows))

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        """See Task."""
        return describe_links(batch)

    def results(self, config: InferConfig) -> dict[str, Any]:
        """See Task."""
        similarity = self.head.plain_similarity
        if similarity is not None:
            return {"search": {"vectors": "embeddings", "similarity": similarity}}
        note = (
            "the head maps vectors before it compares them (see task.head.* of the weights, and relations.json for "
            "the rows of parameters a relation): embeddings alone do not rank links as it does"
        )
        return {"search": {"vectors": None, "note": note}}


def relation_rows(graph: Graph, edge_type: EdgeType) -> dict[str, IntArray]:
    """Edge ids of train, valid and test: by the split column where there is one; otherwise the edges that
    the graph hides are validated on, and all others trained on.

    Training edges that are parallel to a hidden edge are left out.
    """
    hidden = graph.hidden_rows(edge_type)
    edge = graph.manifest.edge(edge_type)
    if edge.split_counts is not None:
        rows = {split: graph.edge_rows(edge_type, split) for split in ("train", "valid", "test")}
        return rows | {"train": np.setdiff1d(rows["train"], hidden, assume_unique=True)}
    train = np.setdiff1d(np.arange(edge.count), hidden, assume_unique=True)
    return {"train": train, "valid": hidden, "test": hidden[:0]}
