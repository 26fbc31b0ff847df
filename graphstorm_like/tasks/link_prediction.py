"""Targets of the edges of one type, scored by filtered ranking.

Target edges and their reverses are excluded from message passing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.tasks.link_prediction import LinkPredictionConfig
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.link_heads import LINK_HEADS
from graphstorm_like.models.link_inputs import LinkInputs
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.steps import FeatureSource
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.approximate_targets import ApproximateTargets
from graphstorm_like.tasks.base import TASKS, Evaluation, Task
from graphstorm_like.tasks.best_targets import BestTargets
from graphstorm_like.tasks.labels import edges_needed, nodes_of_ends, parallel_numbers
from graphstorm_like.tasks.link_training import LinkTask
from graphstorm_like.tasks.links import (
    LinkRanker,
    describe_links,
    ranking_protocol,
    self_loop_note,
    self_loops,
)
from graphstorm_like.tasks.links_of_relations import LinksOfRelations
from graphstorm_like.tasks.metrics import Metrics
from graphstorm_like.tasks.outputs import Asked, EndVectors, Follow, Predictions, Rows, row_ids
from graphstorm_like.tasks.pair_terms import PAIR_TERMS
from graphstorm_like.tasks.ranking import Ranks

SOURCE_VECTORS, TARGET_VECTORS = "link_vectors/source", "link_vectors/target"
"""Folders of vectors as the head compares them."""


@TASKS.register(LinkPredictionConfig)
def link_prediction(config: LinkPredictionConfig, graph: Graph, hidden: int) -> Task:
    """The task of one edge type, or of several."""
    kind = LinkPrediction if config.edge_types is None else LinksOfRelations
    return kind(config, graph, hidden)


class LinkPrediction(LinkTask):
    """One edge type; head and loss by name; ranking metrics."""

    def __init__(self, config: LinkPredictionConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        selected = selected_metric(config)
        self.config, self.graph = config, graph
        self.select_by, self.higher_is_better = selected.name, selected.higher_is_better
        assert config.edge_type is not None
        self.edge_type: EdgeType = config.edge_type
        self._rows = {split: graph.edge_rows(self.edge_type, split) for split in ("train", "valid", "test")}
        for split in ("train", "test"):
            self._check_rows(split)
        self.scored_splits = tuple(split for split in ("valid", "test") if len(self._rows[split]))
        if not graph.only_scored:
            self._refuse_self_loops()
        self.head = LINK_HEADS.of(config.head)(config.head, hidden, [self.edge_type])
        self.relations = tuple(map(edge_name, self.head.index))
        self.link_loss = LINK_LOSSES.of(config.loss)(config.loss)
        self.begin_links([self.edge_type], hidden)
        self.ranker = LinkRanker(self, graph, self.edge_type, self.head, config.ranking.exclude_source)
        if config.pairs is not None:
            self.pairs = PAIR_TERMS.of(config.pairs)(config.pairs, graph, self.edge_type)
            self.ranker.pairs = self.pairs
        self.scores_edges = config.inputs is not None
        if config.inputs is not None:
            self.own_inputs = LinkInputs(hidden)
            self.ranker.of_edges = self._of_edges
        self.protocol = ranking_protocol(config.ranking, [self.edge_type])
        self._metrics = Metrics(config.metrics)

    def _check_rows(self, split: str) -> None:
        if not len(self._rows[split]) and not self.graph.only_scored:
            raise DataError(
                f"{self.graph.folder}: edge type {edge_name(self.edge_type)} must have edges in split {split} (got "
                f"none)"
            )

    def check_validation(self) -> None:
        """See Task."""
        self._check_rows("valid")

    def _refuse_self_loops(self) -> None:
        for split in self.scored_splits:
            rows = self._rows[split]
            if self_loops(self.graph, self.edge_type, rows) == len(rows):
                raise DataError(
                    f"{self.graph.folder}: edge type {edge_name(self.edge_type)} must have edges between different "
                    f"nodes in split {split} (got only edges from a node to itself, which any model ranks first). "
                    f"Look at the split, and at source_id and target_id, in the YAML's graph section"
                )

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return tuple(dict.fromkeys((self.edge_type[0], self.edge_type[2])))

    def rows(self, split: str) -> IntArray:
        """See Task."""
        return self._rows[split]

    def relation_rows(self, split: str) -> Mapping[EdgeType, IntArray]:
        """See LinkTask."""
        return {self.edge_type: self._rows[split]}

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> LinkSeeder:
        """Known true targets come from training edges only: validation and test stay unseen."""
        train = {self.edge_type: self._rows["train"]}
        seeder = LinkSeeder(
            self.graph,
            train,
            self.config.negatives,
            seed,
            share,
            clock=self.clock,
            keep_ids=self.pairs is not None,
            keep_edges=self.scores_edges,
            edge_weight=self.config.edge_weight,
        )
        return self.with_seeder(seeder)

    def read_edges(
        self, widths: Mapping[str, int], sources: Mapping[str, FeatureSource], magnitudes: Mapping[str, float]
    ) -> None:
        """See Task."""
        super().read_edges(widths, sources, magnitudes)
        assert self.own_inputs is not None, "the configuration names inputs"
        self.own_inputs.reads(widths, magnitudes)

    def _of_edges(self, sources: Tensor, edge_ids: IntArray) -> Tensor:
        """Vectors [n, D] of the sources of edges, changed by the edges' own inputs."""
        assert self.own_inputs is not None, "the configuration names inputs"
        pending = {name: source.begin_rows(edge_ids) for name, source in self.scored_sources.items()}
        inputs = {name: torch.from_numpy(np.asarray(rows.wait())).to(self.device) for name, rows in pending.items()}
        changed: Tensor = self.own_inputs(sources.float(), inputs)
        return changed

    def ranker_of(self, edge_type: EdgeType) -> LinkRanker:
        """See LinkTask."""
        return self.ranker

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        return self.links_loss(vectors, batch)

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """Layer-wise when all nodes are candidates, which needs all vectors; else mini-batches."""
        return Evaluation("layer_wise" if self.config.ranking.candidates == "all" else "mini_batch", fanouts, seed)

    def evaluate_rows(self, embedder: Embedder, rows: IntArray, how: Evaluation) -> dict[str, float]:
        """The metrics of some edges [n], whose ranks are not kept."""
        find = how.lookup(embedder, self.node_types)
        return self.summary({self.edge_type: self.ranker.ranks(find, rows, self.config.ranking.candidates, how.seed)})

    def summary(self, ranks: Mapping[EdgeType, Ranks]) -> dict[str, float]:
        """See LinkTask: filtered ranking, see `protocol`."""
        of_edges = ranks[self.edge_type]
        return self._metrics.measure(of_edges.rank, of_edges.candidates, self.group)

    @property
    def known(self) -> TrueTargets:
        """True targets of every source, of any split."""
        return self.ranker.known

    def queries(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of sources -> [n, D], ready for inner products."""
        return self.ranker.queries(vectors)

    def keys(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of targets -> [n, D], ready for inner products."""
        return self.ranker.keys(vectors)

    def notes(self) -> Iterator[str]:
        """See Task."""
        yield from super().notes()
        rows = np.concatenate([self._rows["valid"], self._rows["test"]])
        if loops := self_loops(self.graph, self.edge_type, rows):
            yield self_loop_note(self.edge_type, loops, len(rows))

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        """See Task."""
        return describe_links(batch)

    def predictions(self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow) -> Predictions:
        """source, target, score, rank: the best targets of each source. Where the head reads the edges themselves: see
        `_edge_scores`."""
        if self.scores_edges:
            return self._edge_scores(vectors)
        if config.search.is_exact or not self.head.is_inner_product:
            best = BestTargets(self.ranker, vectors, config, follow)
            return Predictions(self.edge_type[0], best.table, best.k)
        approximate = ApproximateTargets(self.ranker, vectors, config, follow)
        return Predictions(self.edge_type[0], approximate.table, approximate.k, facts=approximate.facts)

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """See Task. The best targets of any source are sought among all nodes."""
        source, _, target = self.edge_type
        if self.scores_edges:
            return edges_needed(self.graph, self.edge_type, asked)
        if asked.pairs is not None:
            return nodes_of_ends(self.edge_type, *asked.pairs)
        return {source: asked.nodes.get(source), target: None}

    def _edge_scores(self, vectors: Mapping[NodeType, Vectors]) -> Predictions:
        """source, target, parallel (0 for the first edge between two nodes, then 1), score: of edges that are there,
        for other pairs have no inputs of their own."""
        parallel = parallel_numbers(*self.graph.edges(self.edge_type))

        def table(part: Rows) -> pa.Table:
            rows = row_ids(part)
            sources, targets = self.graph.edges(self.edge_type, rows)
            columns = {"parallel": pa.array(parallel[rows])}
            return self._scored(vectors, (sources, targets), rows, columns)

        return Predictions(self.edge_type, table)

    def _scored(
        self,
        vectors: Mapping[NodeType, Vectors],
        ends: tuple[IntArray, IntArray],
        edges: IntArray | None = None,
        columns: Mapping[str, pa.Array] = MappingProxyType({}),
    ) -> pa.Table:
        """source, target, other columns, score of pairs, or of edges with these ids."""
        (source_type, _, target_type), (sources, targets) = self.edge_type, ends
        queries = self.ranker.queries(vectors[source_type][sources], edges)
        keys = self.ranker.keys(vectors[target_type][targets])
        scores = self.ranker.pair_scores(queries, keys)
        if self.pairs is not None:
            with torch.inference_mode():
                scores = scores + self.pairs.of_pairs(sources, targets[:, None])[:, 0]
        named = {
            "source": self.graph.ids_of(source_type, sources),
            "target": self.graph.ids_of(target_type, targets),
            **columns,
        }
        return pa.table({**named, "score": scores.cpu().numpy()})

    def asked_predictions(
        self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow, asked: Asked
    ) -> Predictions:
        """See Task. Of given pairs: source, target, score."""
        if asked.pairs is None:
            return super().asked_predictions(vectors, config, follow, asked)
        sources, targets = asked.pairs

        def table(part: Rows) -> pa.Table:
            return self._scored(vectors, (sources[part], targets[part]))

        return Predictions(self.edge_type, table, rows=np.arange(len(sources)))

    def end_vectors(self) -> tuple[EndVectors, ...]:
        """Vectors of both ends as the head compares them; none where the embeddings serve for that, or where no index
        can search them."""
        if self.head.plain_similarity is not None or not self.head.is_inner_product:
            return ()
        if self.pairs is not None or self.scores_edges:
            return ()
        source, _, target = self.edge_type
        return (
            EndVectors(SOURCE_VECTORS, source, lambda vectors: self.queries(vectors).cpu().numpy()),
            EndVectors(TARGET_VECTORS, target, lambda vectors: self.keys(vectors).cpu().numpy()),
        )

    def results(self, config: InferConfig) -> dict[str, Any]:
        """search: which vectors to search with, of sources and among targets, and how they are compared."""
        similarity = self.head.plain_similarity
        source, _, target = self.edge_type
        if self.scores_edges:
            note = "scores also read the edge itself (task.inputs): the predictions hold those of the edges there are"
            return {"search": {"vectors": None, "note": note}}
        if self.pairs is not None:
            note = "scores also read the graph between both ends: only the predictions hold what is ranked best"
            return {"search": {"vectors": None, "note": note}, "known_pairs": config.known_pairs}
        if not self.head.is_inner_product:
            note = "the head's scores are not inner products: only the predictions hold what it ranks best"
            return {"search": {"vectors": None, "note": note}, "known_pairs": config.known_pairs}
        folders = (SOURCE_VECTORS, TARGET_VECTORS)
        if similarity is not None:
            folders = (f"embeddings/{source}", f"embeddings/{target}")
        return {
            "search": {"source": folders[0], "target": folders[1], "similarity": similarity or "inner_product"},
            "known_pairs": config.known_pairs,
        }
