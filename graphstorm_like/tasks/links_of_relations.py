"""Links of several edge types: targets, and with `ends` sources too, by one head with parameters a relation.

Sources are ranked as targets of inverse relations (`config.inverses`), whose edges are the same ones, swapped. Edges to
learn, their twins in the other direction included, pass no messages in their own batch; held-out edges never do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.tasks.link_prediction import LinkPredictionConfig
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.dropout import dropout
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.models.link_heads import LINK_HEADS
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch
from graphstorm_like.sampling.links import LinkSeeder, edge_starts
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.tasks.answers import Answers, Questions, TripleScores
from graphstorm_like.tasks.base import Evaluation
from graphstorm_like.tasks.graph_pretraining import relation_rows
from graphstorm_like.tasks.link_training import LinkTask
from graphstorm_like.tasks.links import (
    LinkRanker,
    check_selecting,
    describe_links,
    ranking_protocol,
    self_loop_note,
    self_loops,
    source_rows,
)
from graphstorm_like.tasks.metrics import Metrics
from graphstorm_like.tasks.outputs import Asked, Follow, Predictions, Triples
from graphstorm_like.tasks.ranking import Ranks

SPLITS = ("train", "valid", "test")


class LinksOfRelations(LinkTask):
    """See module. `edge_types`: the relations; `directed`: those whose targets are ranked, inverses after them."""

    def __init__(self, config: LinkPredictionConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        selected = selected_metric(config)
        self.config, self.graph = config, graph
        self.select_by, self.higher_is_better = config.select_by, selected.higher_is_better
        originals = graph.manifest.original_edge_types()
        self.edge_types = list(config.relations(originals))
        self.directed = list(config.ranked_relations(originals))
        self._starts = edge_starts(graph.manifest, self.directed)
        of_relation = {edge_type: relation_rows(graph, edge_type) for edge_type in self.edge_types}
        self._rows: dict[str, dict[EdgeType, IntArray]] = {}
        for split in SPLITS:
            self._rows[split] = {e: of_relation[stored(e)][split] for e in self.directed}
        for split in ("train", "test"):
            self._check_rows(split)
        self.scored_splits = tuple(split for split in ("valid", "test") if self._has_rows(split))
        with_parameters = self.directed if config.ends == "reciprocal" else self.edge_types
        self.head = LINK_HEADS.of(config.head)(config.head, hidden, with_parameters)
        self.relations = tuple(map(edge_name, self.head.index))
        self.link_loss = LINK_LOSSES.of(config.loss)(config.loss)
        self.begin_links(self.directed, hidden)
        exclude = config.ranking.exclude_source
        self.rankers = [LinkRanker(self, graph, e, self.head, exclude) for e in self.directed]
        self.protocol = {
            **ranking_protocol(config.ranking, self.edge_types),
            "ends": config.ends,
            "average": config.average,
        }
        self._metrics = Metrics(config.metrics)

    def _has_rows(self, split: str) -> bool:
        return any(len(rows) for rows in self._rows[split].values())

    def _check_rows(self, split: str) -> None:
        if not self._has_rows(split) and not self.graph.only_scored:
            raise DataError(
                f"{self.graph.folder}: task.edge_types must have edges in split {split} (got none in "
                f"{', '.join(map(edge_name, self.edge_types))}). Look at graph.edges[].split"
            )

    def check_validation(self) -> None:
        """See Task."""
        self._check_rows("valid")
        check_selecting(self.select_by, self._rows["valid"], self.graph)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        node_types: tuple[NodeType, ...] = self.config.node_types(self.edge_types)
        return node_types

    def rows(self, split: str) -> IntArray:
        """Numbers of edges, as `edge_starts` counts them through the relations: with `ends`, each of them twice."""
        of_relation = zip(self._starts[:-1], self._rows[split].values(), strict=True)
        return np.concatenate([start + rows for start, rows in of_relation])

    def relation_rows(self, split: str) -> Mapping[EdgeType, IntArray]:
        """See LinkTask."""
        return self._rows[split]

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> LinkSeeder:
        """Known true ends come from training edges only. A source is a negative where it is ranked as a candidate."""
        seeder = LinkSeeder(
            self.graph,
            self._rows["train"],
            self.config.negatives,
            seed,
            share,
            mask_source=self.config.ranking.exclude_source,
            edge_weight=self.config.edge_weight,
        )
        return self.with_seeder(seeder)

    def ranker_of(self, edge_type: EdgeType) -> LinkRanker:
        """See LinkTask."""
        return self.rankers[self.directed.index(edge_type)]

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task; with dropout of the vectors and N3."""
        dropped = {t: dropout(rows, self.config.dropout, self.training) for t, rows in vectors.items()}
        loss, count = self.links_loss(dropped, batch)
        return (loss + self.config.n3 * self._cubes(dropped, batch) if self.config.n3 else loss), count

    def _cubes(self, vectors: Mapping[NodeType, Tensor], batch: MiniBatch) -> Tensor:
        """The sum over this rank's edges of `LinkHead.cubes`, each times its weight in the loss."""
        assert isinstance(batch.targets, LinkTargets)
        cubes = []
        for group in batch.targets.groups:
            node_type = group.edge_types[0][2]
            pool = batch.targets.pools[node_type]
            first = group.own.start - sum(pool.sizes[: self.group.rank])
            targets = vectors[node_type][pool.mine[first : first + len(group.sources)]]
            sources = source_rows(vectors, group)
            cubes.append(self.head.cubes(sources, targets, group.edge_types, group.counts, group.weights))
        return torch.stack(cubes).sum()

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """Layer-wise when all nodes are candidates, which needs all vectors; else mini-batches."""
        return Evaluation("layer_wise" if self.config.ranking.candidates == "all" else "mini_batch", fanouts, seed)

    def summary(self, ranks: Mapping[EdgeType, Ranks]) -> dict[str, float]:
        """See LinkTask.

        By plain names the mean of `average`; then 'mrr/micro', 'mrr/macro'; with `ends` 'mrr/targets', 'mrr/sources';
        and each relation's: 'mrr/source:relation:target', and of sources 'mrr/target:relation^-1:source'.
        """
        of_relation = {e: self._measure([of_edges]) for e, of_edges in ranks.items()}
        means = {"micro": self._measure(list(ranks.values())), "macro": {}}
        for name in means["micro"]:
            means["macro"][name] = float(np.mean([scores[name] for scores in of_relation.values()]))
        metrics = dict(means[self.config.average])
        parts = dict(means)
        if self.config.ends != "targets":
            for side, inverse in (("targets", False), ("sources", True)):
                parts[side] = self._measure([r for e, r in ranks.items() if is_inverse(e) == inverse])
        parts.update({edge_name(e): scores for e, scores in of_relation.items()})
        for part, scores in parts.items():
            metrics.update({f"{name}/{part}": value for name, value in scores.items()})
        return metrics

    def _measure(self, ranks: Sequence[Ranks]) -> dict[str, float]:
        together = Ranks.together(ranks)
        return self._metrics.measure(together.rank, together.candidates, self.group)

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

    # -- predictions ---------------------------------------------------------------------------------------------

    def predictions(self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow) -> Predictions:
        """See `tasks.answers`: the best targets of all nodes by all relations, with `ends` the best sources too."""
        return self._answers(vectors, config, follow, self._all_questions({}))

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """See Task: of triples their ends, and all nodes that may be an answer."""
        triples = asked.triples
        if triples is None:
            return dict.fromkeys(self.node_types)
        needed: dict[NodeType, IntArray | None] = {}
        for number, edge_type in enumerate(self.edge_types):
            at = triples.relation == number
            for node_type, ids in ((edge_type[0], triples.source[at]), (edge_type[2], triples.target[at])):
                known = needed.get(node_type, ids[:0])
                if known is not None and len(ids):
                    needed[node_type] = None if ids.min() < 0 else np.union1d(known, ids)
        return needed

    def asked_predictions(
        self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow, asked: Asked
    ) -> Predictions:
        """See Task and `tasks.answers`."""
        triples = asked.triples
        if triples is None:
            return self._answers(vectors, config, follow, self._all_questions(asked.nodes))
        if triples.are_questions:
            return self._answers(vectors, config, follow, self._questions(triples))
        scored = TripleScores(self.rankers[: len(self.edge_types)], vectors, triples)
        return Predictions(self.edge_types[0], scored.table, rows=np.arange(len(triples)))

    def _answers(
        self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow, questions: Questions
    ) -> Predictions:
        answers = Answers(self.rankers, vectors, config, follow, questions)
        return Predictions(self.edge_types[0], answers.table, config.top_k, rows=np.arange(len(questions)))

    def _all_questions(self, nodes: Mapping[NodeType, IntArray]) -> Questions:
        """Relation by relation, of all nodes of its source type, or of those that are asked for."""
        known = []
        for edge_type in self.directed:
            ids = nodes.get(edge_type[0])
            known.append(np.arange(self.graph.manifest.node(edge_type[0]).count) if ids is None else ids)
        relation = np.repeat(np.arange(len(self.directed)), [len(ids) for ids in known])
        return Questions(relation, np.concatenate(known))

    def _questions(self, triples: Triples) -> Questions:
        """Questions for sources are those of inverse relations. DataError when sources were not learnt."""
        for_sources = triples.source < 0
        if for_sources.any() and self.config.ends == "targets":
            raise DataError(
                f"infer.queries: must ask for targets (got {int(for_sources.sum()):,} that ask for sources): the model "
                f"has learnt targets alone. Train it with task.ends: both or reciprocal"
            )
        relation = triples.relation + np.where(for_sources, len(self.edge_types), 0)
        return Questions(relation, np.where(for_sources, triples.target, triples.source))

    def results(self, config: InferConfig) -> dict[str, Any]:
        """See Task."""
        similarity = self.head.plain_similarity
        search: dict[str, Any] = {"vectors": "embeddings", "similarity": similarity}
        if similarity is None:
            note = (
                "the head compares vectors by relation (see task.head.* of the weights, and relations.json for the "
                "rows of parameters a relation): only the predictions hold what it ranks best"
            )
            search = {"vectors": None, "note": note}
        return {"search": search, "known_pairs": config.known_pairs}
