"""A model over an open graph: predictions, embeddings and links of the rows that are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import InferConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.inference.export import embedding_tables, node_vectors, prediction_tables
from graphstorm_like.inference.rows import as_strings, asked_pairs, positions
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import LinkPrediction
from graphstorm_like.tasks.outputs import Asked
from graphstorm_like.training.experiment import Experiment

Pairs: TypeAlias = Sequence[tuple[Any, Any]] | pa.Table
"""Ids of sources and targets: tuples, or the first two columns of a table."""


class Applied:
    """known: the graph that new rows were attached to; None: all rows are new. scratch: is removed when
    this is closed."""

    def __init__(
        self,
        experiment: Experiment,
        known: Graph | None,
        reporter: Reporter,
        scratch: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.experiment, self.known, self.reporter, self._scratch = experiment, known, reporter, scratch
        self._memo: dict[NodeType, Vectors] = {}

    def __enter__(self) -> Applied:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove temporary files."""
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    @property
    def graph(self) -> Graph:
        """The graph as the model sees it."""
        return self.experiment.graph

    @property
    def config(self) -> InferConfig:
        """Keys of `infer:` that hold here."""
        return self.experiment.pipeline.infer

    def embedder(self) -> Embedder:
        """Computes vectors; what it has computed for all nodes of a type is kept."""
        return self.experiment.embedder(self.reporter, self._memo)

    def asked(self, ids: Any = None, pairs: Pairs | None = None, node_type: str | None = None) -> Asked:
        """The rows of ids of nodes (of the task's type, or of `node_type`), or of pairs of ids; without both all new
        rows. ConfigError for what the task has not, DataError for ids that the graph has not."""
        task, row_type = self.experiment.task, self.experiment.pipeline.task.row_type
        nodes: dict[NodeType, IntArray] = self.new_nodes() if self.known is not None else {}
        if ids is not None:
            node_type = node_type or self.node_type()
            nodes[node_type] = positions(self.graph, node_type, as_strings(ids), "ids")
        if pairs is not None:
            return asked_pairs(self.graph, row_type, task.scores_edges, pair_ids(pairs), {}, "pairs")
        if self.known is not None and task.scores_edges and isinstance(row_type, tuple):
            return Asked(nodes, edges=new_edges(self.graph, self.known, row_type))
        return Asked(nodes)

    def new_nodes(self) -> dict[NodeType, IntArray]:
        """Nodes that the known graph does not have, by type: known ones come first."""
        assert self.known is not None
        there = {name: node.count for name, node in self.known.manifest.nodes.items()}
        return {name: np.arange(there.get(name, 0), node.count) for name, node in self.graph.manifest.nodes.items()}

    @property
    def predicted_type(self) -> NodeType | None:
        """The node type that predictions are about: of links, that of the sources. None: there is none."""
        row_type = self.experiment.pipeline.task.row_type
        task = self.experiment.task
        if isinstance(row_type, tuple) and isinstance(task, LinkPrediction) and not task.scores_edges:
            return row_type[0]
        return row_type if isinstance(row_type, str) else None

    def with_infer(self, changes: Mapping[str, Any]) -> Applied:
        """The same with other keys of `infer:`; only the first one removes temporary files."""
        pipeline = self.experiment.pipeline
        changed = pipeline.model_copy(update={"infer": pipeline.infer.model_copy(update=dict(changes))})
        return Applied(replace(self.experiment, pipeline=changed), self.known, self.reporter)

    def node_type(self) -> NodeType:
        """The type that ids without a type are of."""
        if self.predicted_type is not None:
            return self.predicted_type
        raise ConfigError(
            f"ids: must have a node type (--node-type) for {self.experiment.pipeline.task.type}. Predictions for edges "
            f"are asked for by pairs (--pairs)"
        )

    def predict(self, ids: Any = None, *, pairs: Pairs | None = None) -> pa.Table:
        """See Model.predict."""
        if not self.experiment.task.predicts:
            raise ConfigError(
                f"predict: {self.experiment.pipeline.task.type} makes no predictions. Take the embeddings: embed"
            )
        asked = self.asked(ids, pairs)
        return self._predictions(asked, self.config)

    def _predictions(self, asked: Asked, config: InferConfig) -> pa.Table:
        pipeline = self.experiment.pipeline.model_copy(update={"infer": config})
        experiment = replace(self.experiment, pipeline=pipeline)
        vectors = node_vectors(experiment, experiment.task.needed(asked), self.embedder())
        predicted = experiment.task.asked_predictions(vectors, config, self.reporter.follow(), asked)
        return pa.concat_tables(prediction_tables(experiment, predicted))

    def embed(self, node_type: str, ids: Any = None) -> pa.Table:
        """See Model.embed."""
        self.graph.manifest.node(node_type)
        nodes = self.asked(ids, node_type=node_type).nodes.get(node_type)
        vectors = node_vectors(self.experiment, {node_type: nodes}, self.embedder())
        return pa.concat_tables(embedding_tables(self.experiment, node_type, vectors[node_type], nodes))

    def links(self, ids: Any = None, k: int = 10) -> pa.Table:
        """See Model.links."""
        self._links_task("links")
        if self.experiment.task.scores_edges:
            raise ConfigError(
                "links: needs a model without task.inputs, which only edges have. Ask for scores of edges: score_pairs"
            )
        return self._predictions(self.asked(ids), self.config.model_copy(update={"top_k": k}))

    def score_pairs(self, pairs: Pairs) -> pa.Table:
        """See Model.score_pairs."""
        self._links_task("score_pairs")
        return self._predictions(self.asked(pairs=pairs), self.config)

    def _links_task(self, what: str) -> None:
        if not isinstance(self.experiment.task, LinkPrediction):
            raise ConfigError(
                f"{what}: needs a model of link_prediction with one edge_type (this one is of "
                f"{self.experiment.pipeline.task.type}). "
                f"Use predict or embed"
            )


def pair_ids(pairs: Pairs) -> tuple[pa.Array, pa.Array]:
    """Ids of sources and targets as strings."""
    if isinstance(pairs, pa.Table):
        if pairs.num_columns < 2:
            raise ConfigError(f"pairs: must have two columns, source and target (got {pairs.num_columns})")
        return as_strings(pairs.column(0)), as_strings(pairs.column(1))
    listed = [tuple(pair) for pair in pairs]
    if any(len(pair) != 2 for pair in listed):
        raise ConfigError("pairs: must be pairs of a source's and a target's id")
    return as_strings([source for source, _ in listed]), as_strings([target for _, target in listed])


def new_edges(graph: Graph, known: Graph, edge_type: EdgeType) -> IntArray:
    """Numbers of the edges that new tables brought: among those between the same two nodes, the known ones come
    first."""
    width = max(graph.manifest.node(edge_type[2]).count, 1)
    sources, targets = graph.edges(edge_type)
    known_sources, known_targets = known.edges(edge_type)
    keys, known_keys = sources * width + targets, np.sort(known_sources * width + known_targets)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    parallel = np.empty(len(keys), dtype=np.int64)
    parallel[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered, side="left")
    of_known = np.searchsorted(known_keys, keys, side="right") - np.searchsorted(known_keys, keys, side="left")
    return np.flatnonzero(parallel >= of_known)
