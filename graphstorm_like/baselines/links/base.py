"""What simple models of links have in common: the relations of a task, and the task's own metrics of their ranks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from graphstorm_like.baselines.base import Baseline, Family
from graphstorm_like.baselines.links.relation import Relation, Scorer
from graphstorm_like.baselines.links.shared import Shared
from graphstorm_like.baselines.outcome import Scores, Setting
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.rng import stream
from graphstorm_like.tasks.link_training import LinkTask

VALID_EDGES, OF_RELATION = 2000, 20
"""Validation edges that choose a setting, at most; but of a relation so many, if it has them."""


class LinkData:
    """The relations whose targets a task ranks, inverses among them."""

    def __init__(self, task: LinkTask, seed: int, union: UnionGraph) -> None:
        self.task, self.seed = task, seed
        self.shared = Shared(union)
        train = task.relation_rows("train")
        self.relations = [Relation(task, edge_type, rows, self.shared) for edge_type, rows in train.items()]

    def score(self, scorer: Callable[[Relation], Scorer], split: str) -> Scores:
        """The task's own metrics of a split; of `valid`, of some of its edges."""
        rows, ranks = self._rows(split), {}
        for relation in self.relations:
            of_relation = rows[relation.edge_type]
            if len(of_relation):
                ranks[relation.edge_type] = relation.ranks(scorer(relation), of_relation, self.seed)
        return self.task.summary(ranks)

    @property
    def validates_on_sample(self) -> bool:
        """Whether some validation edges choose the settings."""
        return sum(map(len, self._rows("valid").values())) < sum(map(len, self.task.relation_rows("valid").values()))

    def cells(self, settings: int) -> int:
        """Return how many scores of a source and a target so many settings, and the test, ask for."""
        cells = 0
        for split, times in (("valid", settings), ("test", 1)):
            rows = self._rows(split)
            cells += times * sum(len(rows.get(r.edge_type, ())) * r.shape[1] for r in self.relations)
        return cells

    def _rows(self, split: str) -> dict[EdgeType, IntArray]:
        """Edges to rank, by relation."""
        rows = dict(self.task.relation_rows(split))
        total = sum(map(len, rows.values()))
        if split != "valid" or total <= VALID_EDGES:
            return rows
        for edge_type, of_relation in rows.items():
            most = max(OF_RELATION, VALID_EDGES * len(of_relation) // total)
            if len(of_relation) > most:
                rows[edge_type] = np.sort(stream(self.seed, "ranking", 1).permutation(of_relation)[:most])
        return rows


LINKS: Family[LinkData] = Family("graphstorm_like.baselines.links")


class LinkBaseline(Baseline[LinkData]):
    """A simple model of links, one relation at a time. What it says nothing of is ranked by popularity, or not at
    all."""

    ways: ClassVar[tuple[str, ...]]
    """Settings to choose from, the same for all relations."""
    may_tie: ClassVar[bool] = True
    """Whether popularity breaking its ties is tried too."""

    seconds_a_cell: ClassVar[float] = 2e-8
    """Of one score of a source and a target"""

    def estimate(self, data: LinkData) -> float:
        """See Baseline."""
        settings = len(self.ways) * (2 if self.may_tie else 1)
        return self.seconds_a_cell * data.cells(settings) + 3e-7 * data.shared.union.edges

    @abstractmethod
    def lacks(self, relation: Relation) -> str | None:
        """Why it says nothing of a relation; None: it does."""

    @abstractmethod
    def scorer(self, relation: Relation, way: str) -> Scorer:
        """Of a relation of which it says something."""

    def unfit(self, data: LinkData) -> str | None:
        """See Baseline. It says something of one relation at least."""
        lacking = [self.lacks(relation) for relation in data.relations]
        return None if None in lacking else lacking[0]

    def settings(self, data: LinkData) -> Iterator[Setting]:
        """See Baseline."""
        lacking = {relation.edge_type: self.lacks(relation) is not None for relation in data.relations}
        count = sum(lacking.values())
        note = f"; says nothing of {count} of {len(lacking)} relations" if count else ""
        for way in self.ways:

            def scorer(relation: Relation, way: str = way) -> Scorer:
                return relation.constant if lacking[relation.edge_type] else self.scorer(relation, way)

            def broken(relation: Relation, scorer: Callable[[Relation], Scorer] = scorer) -> Scorer:
                return relation.with_popularity(scorer(relation))

            yield _setting(data, f"{way}{note}", scorer)
            if self.may_tie:
                yield _setting(data, f"{way}, ties by popularity{note}", broken)


def _setting(data: LinkData, name: str, scorer: Callable[[Relation], Scorer]) -> Setting:
    return Setting(name, lambda split: data.score(scorer, split))
