"""What a task of several relations predicts: the best ends of questions (s, r, ?) and (?, r, t), and scores of triples.

Columns: source, relation (the edge type's name), target, score; of answers also sought ('source' or 'target': the end
that was asked for) and rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.config.train import InferConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.tasks.best_targets import BestTargets
from graphstorm_like.tasks.links import LinkRanker
from graphstorm_like.tasks.outputs import Follow, Rows, Triples, row_ids


@dataclass(frozen=True, slots=True)
class Questions:
    """relation [n]: numbers of relations, inverses among them. known [n]: the node whose targets are sought."""

    relation: IntArray
    known: IntArray

    def __len__(self) -> int:
        return len(self.relation)


class Answers:
    """The best targets of questions. rankers: one for each relation. vectors: of all nodes that may be the answer, and
    of the known ends."""

    def __init__(
        self,
        rankers: Sequence[LinkRanker],
        vectors: Mapping[NodeType, Vectors],
        config: InferConfig,
        follow: Follow,
        questions: Questions,
    ) -> None:
        self.rankers, self.vectors, self.config, self.follow = rankers, vectors, config, follow
        self.questions = questions

    def table(self, part: Rows) -> pa.Table:
        """See module, of some questions, in their order; one with few possible answers has fewer than top_k rows."""
        rows = row_ids(part)
        relation, known = self.questions.relation[rows], self.questions.known[rows]
        targets = np.full((len(rows), self.config.top_k), -1, dtype=np.int64)
        scores = np.full(targets.shape, -np.inf, dtype=np.float32)
        for number, at in by_relation(relation):
            best = BestTargets(self.rankers[number], self.vectors, self.config, self.follow)
            targets[at, : best.k], scores[at, : best.k] = best.best(known[at])
        row, place = np.nonzero(scores > -np.inf)
        types = [ranker.edge_type for ranker in self.rankers]
        inverse = np.array([is_inverse(edge_type) for edge_type in types])[relation[row]]
        found = targets[row, place]
        source, target = np.where(inverse, found, known[row]), np.where(inverse, known[row], found)
        return pa.table(
            {
                **triple_columns(self.rankers[0].graph, types, relation[row], source, target),
                "sought": pa.array(["target", "source"]).take(pa.array(inverse.astype(np.int64))),
                "score": scores[row, place],
                "rank": (place + 1).astype(np.int32),
            }
        )


class TripleScores:
    """Scores of given triples. rankers: one for each relation. vectors: of the triples' ends."""

    def __init__(self, rankers: Sequence[LinkRanker], vectors: Mapping[NodeType, Vectors], triples: Triples) -> None:
        self.rankers, self.vectors, self.triples = rankers, vectors, triples

    def table(self, part: Rows) -> pa.Table:
        """See module, of some triples, in their order."""
        rows = row_ids(part)
        relation, source, target = (
            of[rows] for of in (self.triples.relation, self.triples.source, self.triples.target)
        )
        scores = np.empty(len(rows), dtype=np.float32)
        for number, at in by_relation(relation):
            ranker = self.rankers[number]
            source_type, _, target_type = ranker.edge_type
            queries = ranker.queries(self.vectors[source_type][source[at]])
            keys = ranker.keys(self.vectors[target_type][target[at]])
            scores[at] = ranker.pair_scores(queries, keys).cpu().numpy()
        types = [ranker.edge_type for ranker in self.rankers]
        columns = triple_columns(self.rankers[0].graph, types, relation, source, target)
        return pa.table({**columns, "score": scores})


def by_relation(relation: IntArray) -> Iterator[tuple[int, IntArray]]:
    """(number of a relation, its places [m]) for each of those in `relation` [n]."""
    for number in np.unique(relation).tolist():
        yield number, np.flatnonzero(relation == number)


def triple_columns(
    graph: Graph, edge_types: Sequence[EdgeType], relation: IntArray, source: IntArray, target: IntArray
) -> dict[str, pa.Array]:
    """Ids of both ends and the names of the edge types, of n triples; an inverse has the name of its relation."""
    forward = [stored(edge_type) for edge_type in edge_types]
    names = pa.array([edge_name(edge_type) for edge_type in forward], pa.string())
    return {
        "source": _ids(graph, [edge_type[0] for edge_type in forward], relation, source),
        "relation": names.take(pa.array(relation)),
        "target": _ids(graph, [edge_type[2] for edge_type in forward], relation, target),
    }


def _ids(graph: Graph, node_types: Sequence[NodeType], relation: IntArray, nodes: IntArray) -> pa.Array:
    """The user's ids of nodes [n], whose types are those of their relations; as strings where types differ."""
    types: npt.NDArray[np.object_] = np.array(node_types, dtype=object)[relation]
    distinct = dict.fromkeys(types.tolist())
    if len(distinct) == 1:
        return graph.ids_of(next(iter(distinct)), nodes)
    pieces, order = [pa.array([], pa.string())], [np.zeros(0, dtype=np.int64)]
    for node_type in distinct:
        at = np.flatnonzero(types == node_type)
        pieces.append(graph.ids_of(node_type, nodes[at]).cast(pa.string()))
        order.append(at)
    return pa.concat_arrays(pieces).take(pa.array(np.argsort(np.concatenate(order))))
