"""Answers to the questions that the server takes, as plain JSON: predictions, embeddings, nearest nodes, links.

Vectors of all known nodes of the types that a question ranks are computed once, before the first question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.encode_rows import rows_table
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.search import SearchConfig
from graphstorm_like.config.tasks.multi import MultiTaskConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.inference.rows import EdgeLookup
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.models.restricted import SomeVectors
from graphstorm_like.search.kinds import INDEXES, VectorIndex
from graphstorm_like.search.vectors import normalised
from graphstorm_like.serve.engine import Engine, NewRows, attempt, seeing_new_rows
from graphstorm_like.serve.links import Links
from graphstorm_like.tasks import EdgeLabelTask, LinkPrediction, LinksOfRelations, MultiTask, NodeLabelTask, Task
from graphstorm_like.tasks.labels import nodes_of_ends
from graphstorm_like.tasks.links import LinkRanker
from graphstorm_like.tasks.outputs import Asked
from graphstorm_like.tasks.sets import SetLabelTask

MAX_K = 1000
SHOWN_NEIGHBOURS = 20
"""Neighbours by each edge type that are listed."""


@dataclass(frozen=True)
class Question:
    """kind: a key of KINDS. node_type: of ids; None: the task's. ids: of known nodes; pairs: of ids of sources and
    targets; sets: ids of the members of each. nodes, edges: new ones, lists of rows by type; task, edge_type: which
    task and which relation, where the model has several; time: as of which, for models with `model.time`; k: how many
    are listed."""

    kind: str
    node_type: str | None = None
    ids: Sequence[Any] | None = None
    pairs: Sequence[tuple[Any, Any]] | None = None
    sets: Sequence[Sequence[Any]] | None = None
    nodes: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    edges: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    task: str | None = None
    edge_type: str | None = None
    time: str | float | None = None
    k: int = 10

    @property
    def is_new(self) -> bool:
        """Whether it brings rows."""
        return bool(self.nodes or self.edges)


class Answers:
    """Of one engine. known: a folder of '<node type>.npy', vectors [count, D] of all known nodes; types without a file
    are computed when they are asked for. search: how links and nearest nodes are found."""

    def __init__(self, engine: Engine, known: Path, search: SearchConfig) -> None:
        self.engine, self._folder, self._search = engine, known, search
        self._known: dict[NodeType, Vectors] = {}
        self._nearest: dict[NodeType, VectorIndex] = {}
        self._links: dict[LinkRanker, Links] = {}
        self._edge_lookups: dict[EdgeType, EdgeLookup] = {}

    def prepare(self) -> None:
        """Compute what is missing in the folder of known vectors, for the types of the task."""
        for node_type in self.engine.task.node_types:
            if not self._file(node_type).exists():
                vectors = self.engine.applied.embedder().layer_wise([node_type])[node_type]
                temporary = self._file(node_type).with_suffix(".tmp.npy")
                np.save(temporary, np.asarray(vectors))
                temporary.rename(self._file(node_type))

    def answer_all(self, questions: Sequence[Question]) -> list[dict[str, Any] | BaseException]:
        """Return the answer to each question, or whatever was raised on the way to it: a GslError says what is wrong
        with the question."""
        tables = [attempt(partial(self._tables, q)) if q.is_new else None for q in questions]
        laid_over = iter(self.engine.lay_over_all([one for one in tables if isinstance(one, dict)]))
        answers: list[dict[str, Any] | BaseException] = []
        for question, brought in zip(questions, tables, strict=True):
            new = next(laid_over) if isinstance(brought, dict) else brought
            if isinstance(new, BaseException):
                answers.append(new)
            else:
                answers.append(attempt(partial(self._answer, question, new)))
        return answers

    def _answer(self, question: Question, new: NewRows | None) -> dict[str, Any]:
        return KINDS[question.kind](self, question, new)

    def _tables(self, question: Question) -> dict[str, dict[Any, pa.Table]]:
        """New rows as Arrow tables of the columns that the model reads. DataError names rows with other values."""
        self.engine.check_takes_rows()
        tables: dict[str, dict[Any, pa.Table]] = {"nodes": {}, "edges": {}}
        for part, by_type in (("nodes", question.nodes or {}), ("edges", question.edges or {})):
            for name, rows in by_type.items():
                tables[part][name] = rows_table(f"{part}.{name}", rows, self.engine.needs.get(f"{part}.{name}", []))
        return tables

    # -- kinds of questions --------------------------------------------------------------------------------------

    def predict(self, question: Question, new: NewRows | None) -> dict[str, Any]:
        """predictions: a row a node or edge, in the order of the question."""
        task = self._task(question)
        if isinstance(task, SetLabelTask):
            return self._known_sets(task, question) if question.sets is None else self._sets(task, question, new)
        if question.sets is not None:
            raise ConfigError("sets: must be left out, for the model's task is not about sets")
        if isinstance(task, NodeLabelTask) and task.node_types == (task.node_type,):
            names, positions = self._nodes(question, new, task.node_type)
            predicted = task.predict(self._vectors(task.node_type, positions, new, question.time))
            return {
                "predictions": [{"id": name} | row for name, row in zip(names, _rows(task, predicted), strict=True)]
            }
        if isinstance(task, LinkPrediction | LinksOfRelations):
            return self._score_pairs(_ranker(task, question), question, new)
        if isinstance(task, EdgeLabelTask):
            self._check_edges(task, question)
            return self._known_edges(task, question) if question.pairs is not None else self._edges(task, question, new)
        if task.predicts:
            return self._rows_of_tables(task, question, new)
        kind = question.task or self.engine.applied.experiment.pipeline.task.type
        raise ConfigError(f"predict: {kind} makes no predictions. Ask for embeddings: /embed")

    def embed(self, question: Question, new: NewRows | None) -> dict[str, Any]:
        """embeddings: id and vector of each node."""
        node_type = question.node_type or self._only_type("embed")
        names, positions = self._nodes(question, new, node_type)
        vectors = self._vectors(node_type, positions, new, question.time)
        listed = zip(names, vectors.tolist(), strict=True)
        return {"node_type": node_type, "embeddings": [{"id": name, "embedding": vector} for name, vector in listed]}

    def neighbors(self, question: Question, new: NewRows | None) -> dict[str, Any]:
        """Of each node: nearest (known nodes with the most similar embeddings, by cosine) and linked (its neighbours in
        the graph by edge type, known nodes' only)."""
        _check_no_time(question)
        node_type = question.node_type or self._only_type("neighbors")
        names, positions = self._nodes(question, new, node_type)
        vectors = normalised(self._vectors(node_type, positions, new))
        scores, rows = self._index(node_type).search(vectors, question.k + 1)
        listed = []
        for i, name in enumerate(names):
            keep = (rows[i] >= 0) & (rows[i] != positions[i])
            nearest = self._named(node_type, rows[i][keep][: question.k], scores[i][keep][: question.k])
            linked = self._linked(node_type, int(positions[i])) if new is None else {}
            listed.append({"id": name, "nearest": nearest, "linked": linked})
        return {"node_type": node_type, "neighbors": listed}

    def links(self, question: Question, new: NewRows | None) -> dict[str, Any]:
        """Of each source: the k targets, known or new, with the highest scores, without those that the graph or the
        question links it to (see infer.known_pairs). exact: whether the vectors of all targets have the question's
        edges in them."""
        task = self._task(question)
        if not isinstance(task, LinkPrediction | LinksOfRelations):
            raise ConfigError("links: needs a model of link_prediction. Ask for predictions: /predict")
        _check_no_time(question)
        ranker = _ranker(task, question)
        if ranker not in self._links:
            self._links[ranker] = Links(self.engine, ranker, self._known_vectors, self._search)
        source, _, target = ranker.edge_type
        names, positions = self._nodes(question, new, source)
        found, exact = self._links[ranker].best(positions, self._vectors(source, positions, new), new, question.k)
        listed = []
        for name, (rows, scores) in zip(names, found, strict=True):
            listed.append({"source": name, "targets": self._named(target, rows, scores, new)})
        return {"edge_type": edge_name(ranker.edge_type), "links": listed, "exact": exact}

    # ------------------------------------------------------------------------------------------------------------

    def _task(self, question: Question) -> Task:
        """The task that a question is about."""
        task = self.engine.task
        if not isinstance(task, MultiTask):
            if question.task is not None:
                raise ConfigError(f"task: must be left out, for the model has one (got '{question.task}')")
            return task
        tasks = dict(task.named())
        if question.task not in tasks:
            raise ConfigError(f"task: must be one of the model's, {', '.join(tasks)} (got {question.task or 'none'})")
        return tasks[question.task]

    def _nodes(self, question: Question, new: NewRows | None, node_type: NodeType) -> tuple[list[Any], IntArray]:
        """Names and positions of the nodes that a question is about: known ones by their ids, then new ones."""
        if question.node_type not in (None, node_type):
            raise ConfigError(f"node_type: must be {node_type} here (got '{question.node_type}')")
        self.engine.graph.manifest.node(node_type)
        positions = self.engine.positions(node_type, question.ids or (), "ids")
        if new is not None and node_type in new.ids:
            positions = np.concatenate([positions, new.first(node_type) + np.arange(len(new.ids[node_type]))])
        if not len(positions):
            raise ConfigError(
                f"ids: must name nodes of type {node_type}, or nodes.{node_type} bring new ones (got none)"
            )
        return self._names(node_type, positions, new), positions

    def _vectors(
        self, node_type: NodeType, positions: IntArray, new: NewRows | None, time: str | float | None = None
    ) -> Vectors:
        """Vectors [n, D]; of known nodes alone, those that are computed already, as of the model's own time."""
        if new is None and time is None and node_type in self.engine.task.node_types:
            known: Vectors = np.asarray(self._known_vectors(node_type)[positions], dtype=np.float32)
            return known
        return self.engine.vectors(node_type, positions, new, time)

    def _known_vectors(self, node_type: NodeType) -> Vectors:
        if node_type not in self._known:
            if not self._file(node_type).exists():
                raise ConfigError(
                    f"node_type: must be of the model's task, {', '.join(self.engine.task.node_types)}, to be ranked "
                    f"(got '{node_type}')"
                )
            self._known[node_type] = np.load(self._file(node_type), mmap_mode="r")
        return self._known[node_type]

    def _file(self, node_type: NodeType) -> Path:
        number = list(self.engine.graph.manifest.nodes).index(node_type)
        return self._folder / f"known-{number}.npy"

    def _index(self, node_type: NodeType) -> VectorIndex:
        if node_type not in self._nearest:
            vectors = normalised(np.asarray(self._known_vectors(node_type), dtype=np.float32))
            index = INDEXES.of(self._search)(self._search, vectors)
            index.build()
            self._nearest[node_type] = index
        return self._nearest[node_type]

    def _score_pairs(self, ranker: LinkRanker, question: Question, new: NewRows | None) -> dict[str, Any]:
        if question.pairs is None:
            raise ConfigError("pairs: must be given, [source, target] each, for a model of link_prediction. See /links")
        source, _, target = ranker.edge_type
        of_sources = self._ends(source, [pair[0] for pair in question.pairs], new)
        of_targets = self._ends(target, [pair[1] for pair in question.pairs], new)
        queries = ranker.queries(self._vectors(source, of_sources, new, question.time))
        keys = ranker.keys(self._vectors(target, of_targets, new, question.time))
        scores = ranker.pair_scores(queries, keys).tolist()
        names = self._names(source, of_sources, new), self._names(target, of_targets, new)
        listed = zip(*names, scores, strict=True)
        return {"predictions": [{"source": one, "target": other, "score": score} for one, other, score in listed]}

    def _known_sets(self, task: SetLabelTask, question: Question) -> dict[str, Any]:
        """Predictions of known sets, from their members in the graph."""
        if question.is_new:
            raise ConfigError(
                "sets: must list the members, ids of known or new nodes, where nodes or edges come with the question"
            )
        names, positions = self._nodes(question, None, task.node_type)
        return self._read_out(task, task.members.of(positions), [{"id": name} for name in names], question, None)

    def _sets(self, task: SetLabelTask, question: Question, new: NewRows | None) -> dict[str, Any]:
        """Predictions of sets that are lists of members, known or new."""
        sets = question.sets or ()
        if question.ids is not None:
            raise ConfigError("ids: must be left out with sets. Ask for known sets alone")
        if not sets or not all(sets):
            raise ConfigError("sets: must be lists of ids with at least one each (got an empty one)")
        positions = self._ends(task.member_type, [name for members in sets for name in members], new, "sets")
        numbers = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
        numbers, positions = np.unique([numbers, positions], axis=1)  # a member counts once, as in training
        return self._read_out(task, (positions, numbers), [{"members": [*m]} for m in sets], question, new)

    def _read_out(
        self,
        task: SetLabelTask,
        members: tuple[IntArray, IntArray],
        keys: list[dict[str, Any]],
        question: Question,
        new: NewRows | None,
    ) -> dict[str, Any]:
        """members: positions [m], and which of the sets, which have these keys, each belongs to [m]."""
        positions, sets = members
        distinct, at = np.unique(positions, return_inverse=True)
        vectors = self._vectors(task.member_type, distinct, new, question.time)
        predicted = task.predict_sets(vectors, at, sets, len(keys))
        return {"predictions": [key | row for key, row in zip(keys, _rows(task, predicted), strict=True)]}

    def _rows_of_tables(self, task: Task, question: Question, new: NewRows | None) -> dict[str, Any]:
        """Predictions of a task that has no answers of its own here, such as a plug-in's: the rows that `gsl infer`
        writes of the nodes, or edges, that the question is about."""
        config = self.engine.applied.experiment.pipeline.task
        config = config.tasks[question.task] if isinstance(config, MultiTaskConfig) and question.task else config
        row_type = config.row_type
        if row_type is None:
            raise ConfigError(
                f"predict: {config.type} is not served. Its predictions come from gsl infer and gsl apply"
            )
        with nullcontext() if new is None else seeing_new_rows(task, new):
            wanted: dict[NodeType, IntArray]
            if isinstance(row_type, str):
                rows = self._nodes(question, new, row_type)[1]
                asked, wanted = Asked(nodes={row_type: rows}), {row_type: rows}
            else:
                _check_no_time(question)
                rows, ends = self._asked_edges(row_type, question, new)
                asked, wanted = Asked(edges=rows), ends
            vectors: dict[NodeType, Any] = {}
            for node_type, ids in task.needed(asked).items():
                ids = wanted.get(node_type, ids)
                if ids is None:
                    vectors[node_type] = self._known_vectors(node_type)
                    continue
                distinct = np.unique(ids)
                count = self.engine.graph.manifest.node(node_type).count if new is None else new.count(node_type)
                values = self._vectors(node_type, distinct, new, question.time)
                vectors[node_type] = SomeVectors(distinct, values, count)
            task.eval()
            made = task.asked_predictions(vectors, self.engine.applied.config, lambda *_: None, asked)
            return {"predictions": made.table(rows).to_pylist()}

    def _asked_edges(
        self, edge_type: EdgeType, question: Question, new: NewRows | None
    ) -> tuple[IntArray, dict[NodeType, IntArray]]:
        """Numbers of the edges that a question is about, known or new, and the nodes at their ends by type."""
        if question.pairs is not None:
            rows = self._edges_between(edge_type, question)
            sources, targets = self.engine.graph.edges(edge_type, rows)
            return rows, {t: ids for t, ids in nodes_of_ends(edge_type, sources, targets).items() if ids is not None}
        if new is None or not (question.edges or {}).get(edge_name(edge_type)):
            raise ConfigError(
                f"pairs: must name edges of the graph, [source, target] each, or edges.{edge_name(edge_type)} bring "
                f"new ones (got neither)"
            )
        sources, targets = new.overlay.new_edges(edge_type)
        rows = self.engine.graph.manifest.edge(edge_type).count + np.arange(len(sources))
        return rows, {t: ids for t, ids in nodes_of_ends(edge_type, sources, targets).items() if ids is not None}

    def _ends(self, node_type: NodeType, names: Sequence[Any], new: NewRows | None, where: str = "pairs") -> IntArray:
        """Positions of ids that are new or known."""
        place: dict[str, int] = {}
        if new is not None and node_type in new.ids:
            of_new = enumerate(new.ids[node_type].to_pylist(), start=new.first(node_type))
            place = {name: position for position, name in of_new}
        known = [name for name in names if str(name) not in place]
        positions = dict(zip(map(str, known), self.engine.positions(node_type, known, where), strict=True))
        return np.array([place.get(str(name), positions.get(str(name), -1)) for name in names], dtype=np.int64)

    def _edges(self, task: EdgeLabelTask, question: Question, new: NewRows | None) -> dict[str, Any]:
        """Predictions of the new edges of the task's type."""
        name = edge_name(task.edge_type)
        rows = (question.edges or {}).get(name)
        if new is None or not rows:
            raise ConfigError(f"edges: must bring the edges to predict, a list of rows under '{name}' (got none)")
        sources, targets = new.overlay.new_edges(task.edge_type)
        source, _, target = task.edge_type
        ends = {source: [sources], target: [targets]}
        if source == target:
            ends = {source: [sources, targets]}
        distinct = {node_type: np.unique(np.concatenate(positions)) for node_type, positions in ends.items()}
        vectors = {node_type: self.engine.vectors(node_type, of_type, new) for node_type, of_type in distinct.items()}
        numbers = self.engine.graph.manifest.edge(task.edge_type).count + np.arange(len(sources))
        at_source, at_target = np.searchsorted(distinct[source], sources), np.searchsorted(distinct[target], targets)
        with new.scored_inputs(task) if task is self.engine.reader else nullcontext():
            predicted = task.predict(vectors, at_source, at_target, numbers)
        return {"predictions": [dict(row) | made for row, made in zip(rows, _rows(task, predicted), strict=True)]}

    def _known_edges(self, task: EdgeLabelTask, question: Question) -> dict[str, Any]:
        """Predictions of all edges of the graph between pairs of known nodes, in the order of the pairs; parallel ones
        are numbered."""
        rows = self._edges_between(task.edge_type, question)
        at_source, at_target = self.engine.graph.edges(task.edge_type, rows)
        predicted = task.predict({t: self._known_vectors(t) for t in task.node_types}, at_source, at_target, rows)
        keys = pa.table(task.keys(rows)).to_pylist()
        return {"predictions": [key | made for key, made in zip(keys, _rows(task, predicted), strict=True)]}

    def _edges_between(self, edge_type: EdgeType, question: Question) -> IntArray:
        """Numbers of all edges of the graph between the pairs of a question."""
        if question.is_new:
            raise ConfigError("pairs: must be left out with nodes and edges: the new edges are predicted. Ask twice")
        source, _, target = edge_type
        pairs = question.pairs or ()
        of_sources = self.engine.positions(source, [pair[0] for pair in pairs], "pairs")
        of_targets = self.engine.positions(target, [pair[1] for pair in pairs], "pairs")
        if edge_type not in self._edge_lookups:
            self._edge_lookups[edge_type] = EdgeLookup(self.engine.graph, edge_type)
        return self._edge_lookups[edge_type].between(of_sources, of_targets, "pairs")

    def _check_edges(self, task: EdgeLabelTask, question: Question) -> None:
        """Their vectors are those of the graph's end."""
        _check_no_time(question)
        if self.engine.clock is not None and self.engine.clock.own == task.edge_type:
            raise ConfigError(
                "predict: labels of edges that are seen as of their own times (model.time.at: own) are not served, for "
                "a server has one vector a node. Ask for embeddings as of a time: /embed"
            )

    def _only_type(self, what: str) -> NodeType:
        types = self.engine.task.node_types
        if len(types) == 1:
            return types[0]
        raise ConfigError(f"node_type: must be given for /{what} (one of {', '.join(types)})")

    def _named(
        self, node_type: NodeType, rows: IntArray, scores: Any, new: NewRows | None = None
    ) -> list[dict[str, Any]]:
        names = self._names(node_type, rows, new)
        return [{"id": name, "score": float(score)} for name, score in zip(names, scores, strict=True)]

    def _names(self, node_type: NodeType, positions: IntArray, new: NewRows | None) -> list[Any]:
        """Ids [n] of known nodes, and of new ones after them, as the graph has them: strings or whole numbers."""
        count = self.engine.graph.manifest.node(node_type).count
        known = iter(self.engine.graph.ids_of(node_type, positions[positions < count]).to_pylist())
        of_new = [] if new is None else new.names(node_type)
        return [next(known) if position < count else of_new[position - count] for position in positions.tolist()]

    def _linked(self, node_type: NodeType, position: int) -> dict[str, list[Any]]:
        """Ids of a known node's neighbours by edge type, the first few of each."""
        linked: dict[str, list[Any]] = {}
        for edge_type, sources in self.engine.neighbours(node_type, position).items():
            names = self.engine.graph.ids_of(edge_type[0], sources[:SHOWN_NEIGHBOURS])
            linked[edge_name(edge_type)] = names.to_pylist()
        return linked


KINDS: Mapping[str, Callable[[Answers, Question, NewRows | None], dict[str, Any]]] = {
    "predict": Answers.predict,
    "embed": Answers.embed,
    "neighbors": Answers.neighbors,
    "links": Answers.links,
}


def _check_no_time(question: Question) -> None:
    if question.time is not None:
        raise ConfigError(
            f"time: must be left out here: known nodes are compared as of the graph's end (got {question.time!r}). "
            f"Ask for predictions of nodes or pairs, or for embeddings"
        )


def _ranker(task: LinkPrediction | LinksOfRelations, question: Question) -> LinkRanker:
    """That of the relation that a question is about."""
    rankers = task.rankers if isinstance(task, LinksOfRelations) else [task.ranker]
    by_name = {edge_name(ranker.edge_type): ranker for ranker in rankers}
    if question.edge_type is None and len(rankers) == 1:
        return rankers[0]
    if question.edge_type not in by_name:
        got = question.edge_type or "none"
        raise ConfigError(f"edge_type: must be one that the model ranks, {', '.join(by_name)} (got {got})")
    return by_name[question.edge_type]


def _rows(task: NodeLabelTask | EdgeLabelTask, predicted: Any) -> list[dict[str, Any]]:
    """Predictions as rows, without the columns that need labels."""
    columns = task.target.columns(predicted, task.target.unlabelled(len(predicted)))
    columns.pop("label", None)
    rows: list[dict[str, Any]] = pa.table(columns).to_pylist()
    return rows
