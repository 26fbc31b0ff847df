"""What the tasks on links have in common in training: the loss, and what of it goes on from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.models.link_heads import LinkHead
from graphstorm_like.models.link_inputs import LinkInputs
from graphstorm_like.models.losses import LinkLoss
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.negatives import NEGATIVES
from graphstorm_like.sampling.negatives.best import BLOCK, Dense
from graphstorm_like.sampling.negatives.mined_model import MinedByModel
from graphstorm_like.tasks.base import Evaluation, Task
from graphstorm_like.tasks.links import LinkRanker, sum_of_losses
from graphstorm_like.tasks.more_negatives import MoreNegatives
from graphstorm_like.tasks.pair_terms import PairTerm
from graphstorm_like.tasks.ranking import Ranks

SOURCES = 1024
"""Whose targets are scored together by `mined_model`"""


class LinkTask(Task):
    """A task that tells true edges from wrong ones. Subclasses set `config` (with `negatives`), `graph`, `head`,
    `link_loss`, and call `begin_links`."""

    config: Any
    graph: Graph
    head: LinkHead
    link_loss: LinkLoss

    def begin_links(self, edge_types: Sequence[EdgeType], hidden: int) -> None:
        """Relations, inverses included, whose targets are learnt; width of the vectors."""
        self.pairs: PairTerm | None = None
        self.own_inputs: LinkInputs | None = None
        # In a list: what a task keeps for training is no part of the model.
        self._more = [MoreNegatives(self.config.negatives, edge_types, hidden)]

    def with_seeder(self, seeder: LinkSeeder) -> LinkSeeder:
        """The seeder, which also knows what negatives beside a batch's own are true."""
        self._more[0].seeder = seeder
        return seeder

    def notes(self) -> Iterator[str]:
        """See Task: of negatives."""
        return NEGATIVES.of(self.config.negatives).notes(self.config.negatives, self.graph)

    def ranker_of(self, edge_type: EdgeType) -> LinkRanker:
        """Scores the targets of a relation."""
        raise NotImplementedError

    def relation_rows(self, split: str) -> Mapping[EdgeType, IntArray]:
        """Edge ids [n] of a split, by the relation whose targets are ranked, inverses included."""
        raise NotImplementedError

    def summary(self, ranks: Mapping[EdgeType, Ranks]) -> dict[str, float]:
        """Metrics of this rank's share of the ranks of relations, over all ranks of the group; of relations without
        edges in the split there are none."""
        raise NotImplementedError

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """See Task and `summary`."""
        find = how.lookup(embedder, self.node_types)
        ranks: dict[EdgeType, Ranks] = {}
        for edge_type, rows in self.relation_rows(split).items():
            if not len(rows):
                continue
            ranker = self.ranker_of(edge_type)
            ranks[edge_type] = ranker.ranks(find, rows, self.config.ranking.candidates, how.seed)
            if how.keep_ranks is not None:
                how.keep_ranks(split, edge_type, self.group.mine(rows), ranks[edge_type])
        return self.summary(ranks)

    def links_loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See `sum_of_losses`."""
        more, own = self._more[0], self.own_inputs
        return sum_of_losses(self, self.head, self.link_loss, vectors, batch, more, self.pairs, own)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """See Task: nothing enters the queues."""
        more = self._more[0]
        more.is_quiet = True
        try:
            yield
        finally:
            more.is_quiet = False

    def _mined(self) -> list[MinedByModel]:
        seeder = self._more[0].seeder
        return [] if seeder is None else [kind for kind in seeder.negatives.kinds() if isinstance(kind, MinedByModel)]

    @property
    def training_state(self) -> nn.Module | None:
        """See Task: queues, and lists of negatives that the model has mined."""
        self._more[0].to(self.device)
        kept: dict[str, nn.Module] = {}
        for number, queue in enumerate(self._more[0].queues.values()):
            kept[f"queue{number}"] = queue
        for number, mined in enumerate(self._mined()):
            kept[f"mined{number}"] = mined.kept
        return nn.ModuleDict(kept) if kept else None

    @property
    def refresh_steps(self) -> int | None:
        """See Task."""
        steps = [mined.refresh_steps for mined in self._mined()]
        return int(np.gcd.reduce(steps)) if steps else None

    def must_refresh(self, updates: int) -> bool:
        """See Task."""
        return any(mined.is_due(updates) for mined in self._mined())

    def refresh(self, embedder: Embedder, updates: int) -> None:
        """See Task: mine with the vectors of all nodes. Each rank does its share of the sources."""
        due = [mined for mined in self._mined() if mined.is_due(updates)]
        relations = [edge_type for mined in due for edge_type in mined.sources]
        types = list(dict.fromkeys(t for e in relations for t in (e[0], e[2])))
        vectors = embedder.layer_wise(types)
        for mined in due:
            lists = {}
            for edge_type, sources in mined.sources.items():
                ranker = self.ranker_of(edge_type)
                scorer = ModelScores(ranker, vectors[edge_type[0]], ranker.keys(vectors[edge_type[2]]))
                own = mined.mined(edge_type, self.group.mine(sources), scorer, positive=False)
                of_all = self.group.gather(torch.from_numpy(own).to(self.device), "mined negatives")
                lists[edge_type] = of_all.cpu().numpy()
            mined.keep(lists, updates)

    def take_up(self) -> None:
        """See Task."""
        for mined in self._mined():
            mined.take_up()


@dataclass(frozen=True)
class ModelScores:
    """Scores of the model, terms of pairs among them, for `mined_model`; see Scorer. vectors: of all sources; keys
    [targets, D]."""

    ranker: LinkRanker
    vectors: Any
    keys: Tensor

    def blocks(self, sources: IntArray) -> Iterator[IntArray]:
        """See Scorer."""
        yield from (sources[start : start + SOURCES] for start in range(0, len(sources), SOURCES))

    def pieces(self, sources: IntArray) -> Iterator[Dense]:
        """See Scorer: of a stretch of the targets each."""
        queries, width = self.ranker.queries(self.vectors[sources]), max(1, BLOCK // max(len(sources), 1))
        for first in range(0, len(self.keys), width):
            scores = self.ranker.scores(queries, self.keys[first : first + width])
            if self.ranker.pairs is not None:
                scores = scores + self.ranker.more(sources, np.arange(first, first + scores.shape[1]))
            yield Dense(scores.cpu().numpy(), first)
