"""Tasks on one label of the nodes or the edges of one type: its rows, and the vectors from which it is predicted.

Whether the label is a class or a number is known to its target alone, see `tasks.targets`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.batch_size import BatchSize, rows_a_step
from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.tasks.labels import EdgeLabelConfig, NodeLabelConfig
from graphstorm_like.config.temporal import microseconds
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.schema import SPLITS, LabelSchema, always
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.heads import EdgeHead, NodeClassifier
from graphstorm_like.sampling.batch import EdgeTargets, MiniBatch, NodeTargets
from graphstorm_like.sampling.clock import times_of
from graphstorm_like.sampling.links import number_nodes_in_time
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice, SeedStream, SnapshotSeedStream
from graphstorm_like.sampling.steps import EdgeSeeder, FeatureSource, NodeSeeder
from graphstorm_like.tasks.base import TASKS, Evaluation, Task
from graphstorm_like.tasks.outputs import Asked, Follow, Predictions, Rows, row_ids
from graphstorm_like.tasks.targets import TARGETS, Labels, LabelTarget, has_label

CHUNK = 16_384
"""Rows that a head reads at once: at D = 256 some 50 MB for an edge head."""


class LabelTask(Task):
    """labels [count] of all nodes or edges of the type; target: loss, predictions and metrics; head: its outputs."""

    labels: Labels
    target: LabelTarget
    head: nn.Module

    def _start(
        self,
        config: NodeLabelConfig | EdgeLabelConfig,
        graph: Graph,
        owner: str,
        schemas: Mapping[str, LabelSchema],
        read_labels: Callable[[], Labels],
        rows_of_split: Callable[[str], IntArray],
    ) -> None:
        """Read the label and make the target; DataError when the graph folder does not have it. owner: name of the node
        or edge type, for messages."""
        selected = selected_metric(config)
        self.graph, self.select_by, self.higher_is_better = graph, selected.name, selected.higher_is_better
        kind = config.label_kind
        if config.label not in schemas:
            problem = unknown(f"{graph.folder}: {owner}", "label", config.label, schemas)
            raise DataError(f"{problem} Run: gsl construct")
        schema = schemas[config.label]
        if schema.kind != kind:
            raise DataError(
                f"{graph.folder}: label '{config.label}' of {owner} must be of kind {kind} for {config.type} "
                f"(got {schema.kind}). Run: gsl construct"
            )
        self.labels = read_labels()

        def labelled_rows(split: str) -> IntArray:
            rows = rows_of_split(split)
            # A row without a label is never a seed, whatever the split column says.
            return rows[has_label(self.labels[rows])]

        self._rows: dict[str, IntArray] = {}
        for split in SPLITS[1:]:
            name = f"{owner}:{config.label} in {split}"
            self._rows[split] = once_a_host(graph, name, partial(labelled_rows, split))
        self._named = f"label '{config.label}' of {owner}"
        for split in ("train", "test"):
            self._check_rows(split)
        self.scored_splits = tuple(split for split in ("valid", "test") if len(self._rows[split]))
        train = self.labels[self._rows["train"]]
        self.target = TARGETS.of(config)(config, schema.classes, train)

    def _check_rows(self, split: str) -> None:
        if not len(self._rows[split]) and not self.graph.only_scored:
            raise DataError(
                f"{self.graph.folder}: {self._named} must have rows in split {split} (got none). Look at the label's "
                f"split in the YAML's graph section"
            )

    def check_validation(self) -> None:
        """See Task."""
        self._check_rows("valid")

    def rows(self, split: str) -> IntArray:
        """See Task. Only labelled rows."""
        return self._rows[split]

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """See Task."""
        return self.evaluate_rows(embedder, self._rows[split], how)

    @abstractmethod
    def evaluate_rows(self, embedder: Embedder, rows: IntArray, how: Evaluation) -> dict[str, float]:
        """Metrics of some labelled rows [n]."""

    def labelled_rows(self) -> dict[str, IntArray]:
        """Rows [n] that have a label, by the name of their split; without splits that have none."""
        rows = {split: self._rows[split] for split in SPLITS[1:]}
        in_splits = np.concatenate(list(rows.values()))
        rows[SPLITS[0]] = np.setdiff1d(np.flatnonzero(has_label(self.labels)), in_splits)
        return {split: of_split for split, of_split in rows.items() if len(of_split)}

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """Mini-batches, since validation reads few nodes."""
        return Evaluation("mini_batch", fanouts, seed)

    @abstractmethod
    def predict_rows(self, vectors: Mapping[NodeType, Vectors], part: Rows) -> Vectors:
        """Vectors [count, D] of all nodes of the task's types -> what the target predicts for some of its rows."""

    @property
    @abstractmethod
    def row_type(self) -> RowType:
        """The node or edge type that has the label."""

    @abstractmethod
    def keys(self, part: Rows) -> dict[str, pa.Array]:
        """Columns that say which rows these are, with the user's ids."""

    def predictions(self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow) -> Predictions:
        """Keys, then the target's columns, then split; one line per node or edge, labelled or not, in graph order."""
        splits = np.zeros(len(self.labels), dtype=np.int64)
        for split in SPLITS[1:]:
            splits[self.rows(split)] = SPLITS.index(split)
        classes = "\n".join(self.target.classes)

        def table(part: Rows) -> pa.Table:
            columns = self.keys(part) | self.target.columns(self.predict_rows(vectors, part), self.labels[part])
            predicted = pa.table(columns | {"split": pa.array(SPLITS).take(pa.array(splits[part]))})
            return predicted.replace_schema_metadata({"classes": classes}) if classes else predicted

        return Predictions(self.row_type, table)

    @property
    def named_rows(self) -> dict[str, list[str]]:
        """See Task."""
        return {"classes": list(self.target.classes)} if self.target.classes else {}

    def results(self, config: InferConfig) -> dict[str, Any]:
        """See Task."""
        return {"classes": list(self.target.classes)} if self.target.classes else {}

    @torch.inference_mode()
    def _predict(self, count: int, outputs: Callable[[slice], Tensor]) -> Vectors:
        """What the target predicts for `count` rows. outputs: gives the head's outputs for some of the rows."""
        self.eval()
        chunks = []
        for start in range(0, max(count, 1), CHUNK):
            predicted = self.target.predict(outputs(slice(start, start + CHUNK)).float())
            chunks.append(predicted.cpu().numpy())
        return np.concatenate(chunks)

    def _tensor(self, rows: Vectors) -> Tensor:
        return torch.from_numpy(np.asarray(rows)).to(self.device)


@TASKS.register(NodeLabelConfig)
class NodeLabelTask(LabelTask):
    """A label of the nodes of one type."""

    def __init__(self, config: NodeLabelConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.config, self.node_type = config, config.node_type
        self._start(
            config,
            graph,
            config.node_type,
            graph.manifest.node(config.node_type).labels,
            lambda: graph.label(config.node_type, config.label),
            lambda split: graph.label_rows(config.node_type, config.label, split),
        )
        self.head = NodeClassifier(hidden, self.target.width, config.head_layers)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return (self.node_type,)

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """See Task."""
        return {self.node_type: asked.nodes.get(self.node_type)}

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """See Task."""
        rows, config = self.rows("train"), self.config.snapshots
        if config is None:
            return super().stream(batch_size, seed)
        row_type, width = self.node_type, config.width
        times = times_of(self.graph, row_type, rows)
        if not len(rows) or (times == always(times.dtype)).any():
            raise DataError(f"{self.graph.folder}: {self._named}: training rows must have times for task.snapshots")
        number = ((times - times.min()) // (microseconds(width) if isinstance(width, str) else width)).astype(np.int64)
        found, counts = np.unique(number, return_counts=True)
        first = 0 if config.latest is None else max(len(found) - config.latest, 0)
        ordered = rows[np.argsort(number, kind="stable")][counts[:first].sum() :]
        groups = tuple(counts[first:].tolist())
        size = rows_a_step(batch_size, max(groups))
        return SnapshotSeedStream(ordered, size, seed, groups=groups, epochs=config.epochs)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> NodeSeeder:
        """See Task."""
        return NodeSeeder(self.node_type, self.labels, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        assert isinstance(batch.targets, NodeTargets)
        return self.target.loss(self.head(vectors[self.node_type]).float(), batch.targets.labels)

    def evaluate_rows(self, embedder: Embedder, rows: IntArray, how: Evaluation) -> dict[str, float]:
        """See Task."""
        rows = self.group.mine(rows)
        predicted = self.predict(how.vectors(embedder, self.node_type, rows))
        return self.target.metrics(predicted, self.labels[rows], self.group)

    def predict(self, vectors: Vectors) -> Vectors:
        """Vectors [n, D] -> class probabilities [n, C], or numbers [n]."""
        return self._predict(len(vectors), lambda part: self.head(self._tensor(vectors[part])))

    def predict_rows(self, vectors: Mapping[NodeType, Vectors], part: Rows) -> Vectors:
        """See LabelTask."""
        return self.predict(vectors[self.node_type][part])

    @property
    def row_type(self) -> NodeType:
        """See LabelTask."""
        return self.node_type

    def keys(self, part: Rows) -> dict[str, pa.Array]:
        """id"""
        return {"id": self.graph.ids_of(self.node_type, row_ids(part))}


def nodes_of_ends(edge_type: EdgeType, sources: IntArray, targets: IntArray) -> dict[NodeType, IntArray | None]:
    """The distinct nodes [n] at the ends of some edges, by type."""
    if edge_type[0] == edge_type[2]:
        return {edge_type[0]: np.unique(np.concatenate([sources, targets]))}
    return {edge_type[0]: np.unique(sources), edge_type[2]: np.unique(targets)}


def edges_needed(graph: Graph, edge_type: EdgeType, asked: Asked) -> dict[NodeType, IntArray | None]:
    """Of a task that predicts for edges: the ends of those that are asked for, or all nodes at both ends."""
    if asked.edges is None:
        return dict.fromkeys((edge_type[0], edge_type[2]))
    return nodes_of_ends(edge_type, *graph.edges(edge_type, asked.edges))


def parallel_numbers(source: IntArray, target: IntArray) -> IntArray:
    """Number [n] of each edge among those with the same ends, which are stored side by side."""
    numbers = np.arange(len(source))
    first = np.ones(len(source), dtype=bool)
    first[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    return (numbers - np.maximum.accumulate(np.where(first, numbers, 0))).astype(np.int64)


@TASKS.register(EdgeLabelConfig)
class EdgeLabelTask(LabelTask):
    """A label of the edges of one type, from the vectors of both ends and from the edges' own inputs.

    With `exclude_target_edges`, scored edges are excluded from message passing: a batch's own edges from its blocks,
    the label's validation and test edges from the whole message graph (`hidden_edges`). Training edges take part in
    message passing while other edges are scored; edges in no split always do.
    """

    scores_edges = True

    def __init__(self, config: EdgeLabelConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.config, self.exclude_targets = config, config.exclude_target_edges
        self.edge_type: EdgeType = config.edge_type
        self._start(
            config,
            graph,
            edge_name(config.edge_type),
            graph.manifest.edge(config.edge_type).labels,
            lambda: graph.edge_label(config.edge_type, config.label),
            lambda split: graph.edge_label_rows(config.edge_type, config.label, split),
        )
        own = config.inputs is not None
        self.head: EdgeHead = EdgeHead(hidden, self.target.width, config.head_layers, own, config.bases)

    def read_edges(
        self, widths: Mapping[str, int], sources: Mapping[str, FeatureSource], magnitudes: Mapping[str, float]
    ) -> None:
        """See Task."""
        super().read_edges(widths, sources, magnitudes)
        self.head.reads(widths, magnitudes)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return tuple(dict.fromkeys((self.edge_type[0], self.edge_type[2])))

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """See Task."""
        return edges_needed(self.graph, self.edge_type, asked)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> EdgeSeeder:
        """See Task."""
        return EdgeSeeder(self.graph, self.edge_type, self.labels, share, self.clock)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        targets = batch.targets
        assert isinstance(targets, EdgeTargets)
        source, _, target = self.edge_type
        outputs = self.head(vectors[source][targets.sources], vectors[target][targets.targets], targets.inputs)
        return self.target.loss(outputs.float(), targets.labels)

    def evaluate_rows(self, embedder: Embedder, rows: IntArray, how: Evaluation) -> dict[str, float]:
        """See Task."""
        rows = self.group.mine(rows)
        source, target = self.graph.edges(self.edge_type, rows)
        times = None if self.clock is None else self.clock.of_edges(self.edge_type, rows)
        ends = [(self.edge_type[0], source), (self.edge_type[2], target)]
        nodes, as_of, (source_at, target_at) = number_nodes_in_time(ends, [times, times])
        lookup = how.lookup(embedder, self.node_types)
        vectors = {}
        for node_type, ids in nodes.items():
            of_type = as_of[node_type].numpy() if node_type in as_of else None
            vectors[node_type] = lookup(node_type, ids.numpy(), of_type)
        predicted = self.predict(vectors, source_at.numpy(), target_at.numpy(), rows)
        return self.target.metrics(predicted, self.labels[rows], self.group)

    def predict(
        self, vectors: Mapping[NodeType, Vectors], sources: IntArray, targets: IntArray, edge_ids: IntArray
    ) -> Vectors:
        """Vectors by type, rows [n] in them of both ends, edge ids [n] -> class probabilities [n, C] or numbers [n]."""
        of_sources, of_targets = vectors[self.edge_type[0]], vectors[self.edge_type[2]]

        def head_outputs(part: slice) -> Tensor:
            pending = {name: source.begin_rows(edge_ids[part]) for name, source in self.scored_sources.items()}
            inputs = {name: self._tensor(rows.wait()) for name, rows in pending.items()}
            outputs: Tensor = self.head(
                self._tensor(of_sources[sources[part]]), self._tensor(of_targets[targets[part]]), inputs
            )
            return outputs

        return self._predict(len(sources), head_outputs)

    @property
    def row_type(self) -> EdgeType:
        """See LabelTask."""
        return self.edge_type

    def keys(self, part: Rows) -> dict[str, pa.Array]:
        """source, target, and parallel: 0 for the first edge between two nodes, in the order of the tables, 1 for the
        next one."""
        source, target = self.graph.edges(self.edge_type, row_ids(part))
        return {
            "source": self.graph.ids_of(self.edge_type[0], source),
            "target": self.graph.ids_of(self.edge_type[2], target),
            "parallel": pa.array(self._parallel[part]),
        }

    @cached_property
    def _parallel(self) -> IntArray:
        """Number [count] of each edge among those with the same ends, which are stored side by side."""
        return parallel_numbers(*self.graph.edges(self.edge_type))

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        """See Task."""
        targets = batch.targets
        assert isinstance(targets, EdgeTargets)
        inputs = "".join(f"; {name} {tuple(rows.shape)}" for name, rows in targets.inputs.items())
        yield f"edges: {len(targets.labels):,} of {edge_name(targets.edge_type)}{inputs}"

    def predict_rows(self, vectors: Mapping[NodeType, Vectors], part: Rows) -> Vectors:
        """See LabelTask."""
        edge_ids = row_ids(part)
        source, target = self.graph.edges(self.edge_type, edge_ids)
        return self.predict(vectors, source, target, edge_ids)
