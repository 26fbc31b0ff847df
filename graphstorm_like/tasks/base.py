"""A task: which seeds, which loss, which metrics. The training loop knows nothing else about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.batch_size import BatchSize, rows_a_step
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.clock import Clock
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice, SeedStream
from graphstorm_like.sampling.steps import FeatureSource, Seeder
from graphstorm_like.tasks.outputs import Asked, EndVectors, Follow, Predictions
from graphstorm_like.tasks.ranking import Ranks

TASKS: Registry[Callable[[Any, Graph, int], Task]] = Registry("task", "graphstorm_like.tasks")
"""Called with (config, graph, width of the model's vectors)."""

Mode = Literal["layer_wise", "mini_batch"]


class Lookup(Protocol):
    """Finds vectors of nodes."""

    def __call__(self, node_type: NodeType, ids: IntArray | None, times: Times | None = None) -> Vectors:
        """(node type, ids [n] or None for all) -> vectors [n, D]. times [n]: as of which point in time each is wanted,
        where rows have their own (`Task.clock`); pairs of id and time are distinct."""
        ...


KeepRanks = Callable[[str, EdgeType, IntArray, Ranks], None]
"""Called with (split, edge type, ids [n] of this rank's share of its edges, ranks [n] of their targets)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How vectors for scoring are made: mode, and for mini_batch the fanouts and the seed. keep_ranks: what is done
    with the ranks of a split's links, beside the metrics."""

    mode: Mode
    fanouts: Sequence[FanoutByType]
    seed: int
    keep_ranks: KeepRanks | None = None

    def vectors(self, embedder: Embedder, node_type: NodeType, ids: IntArray) -> Vectors:
        """[len(ids), D]"""
        return self.lookup(embedder, [node_type])(node_type, ids)

    def lookup(self, embedder: Embedder, node_types: Sequence[NodeType]) -> Lookup:
        """A function for vectors of nodes of the given types. Vectors of all nodes of a type are computed once, however
        often it is called."""
        vectors_by_type = embedder.layer_wise(node_types) if self.mode == "layer_wise" else {}

        def find(node_type: NodeType, ids: IntArray | None, times: Times | None = None) -> Vectors:
            if ids is not None and times is not None:
                return embedder.mini_batch(node_type, ids, self.fanouts, self.seed, times)
            if ids is not None and node_type not in vectors_by_type:
                return embedder.mini_batch(node_type, ids, self.fanouts, self.seed)
            if node_type not in vectors_by_type:
                vectors_by_type[node_type] = embedder.mini_batch_all(node_type, self.fanouts, self.seed)
            return vectors_by_type[node_type] if ids is None else vectors_by_type[node_type][ids]

        return find


class Objective(Protocol):
    """What training minimises: a task, or another objective that is learnt with its head."""

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """Which training rows come when."""
        ...

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> Seeder:
        """Makes training batches."""
        ...

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum of the losses of the batch's rows, their total weight)."""
        ...


class NodeClassifier(Protocol):
    """A task that predicts classes of nodes: the source of pseudo labels and soft labels."""

    graph: Graph
    node_type: NodeType
    label_smoothing: float

    def training_labels(self) -> tuple[IntArray, IntArray]:
        """(ids, class indices) of the nodes to learn from."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Vectors [n, D] of nodes -> [n, C]."""
        ...

    def probabilities(self, vectors: Vectors) -> Vectors:
        """Vectors [n, D] of nodes -> class probabilities [n, C]."""
        ...


class Task(nn.Module, ABC):
    """Holds the head's parameters. `hidden` is the width of the model's vectors."""

    select_by: str
    """The metric that early stopping follows."""
    higher_is_better: bool = True
    """Whether that metric is better when it is higher."""
    exclude_targets: bool = True
    """Whether the edges that a training batch is about, if it is about edges, are excluded from its message passing."""
    scored_splits: tuple[str, ...] = ("valid", "test")
    """What `gsl evaluate` scores."""
    group: Group = SINGLE_PROCESS
    """The ranks that train together: they share a step's rows, and a split's when it is scored."""
    scored_sources: Mapping[str, FeatureSource] = {}
    """Sources of the scored edges' own inputs, by name."""
    clock: Clock | None = None
    """Of temporal models: the points in time of its rows."""
    relations: tuple[str, ...] = ()
    """Names of edge types: what the rows of the head's `relations` [R, D] belong to, if it has such parameters."""

    @property
    def named_rows(self) -> dict[str, list[str]]:
        """What the rows of all of the head's parameters belong to, in order: classes, relations."""
        return {"relations": list(self.relations)} if self.relations else {}

    scores_edges: bool = False
    """Whether it predicts for edges that are there, and for no other pairs of nodes."""
    predicts: bool = True
    """Whether there is anything to predict for the user; if not, only embeddings are written."""

    protocol: Mapping[str, str | int | bool] = {}
    """How the task is scored, where the names of the metrics do not say so; written beside the metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_where", torch.empty(0), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the task computes, also when its head has no parameters."""
        return self.get_buffer("_where").device

    @property
    def node_classifier(self) -> NodeClassifier | None:
        """For pseudo labels and distillation; None: the task does not predict classes of nodes."""
        return None

    @property
    @abstractmethod
    def node_types(self) -> tuple[NodeType, ...]:
        """The types whose vectors the task reads."""

    @abstractmethod
    def rows(self, split: str) -> IntArray:
        """Node or edge ids of a split."""

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """Which training rows come when."""
        rows = self.rows("train")
        return SeedStream(rows, rows_a_step(batch_size, len(rows)), seed)

    @abstractmethod
    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> Seeder:
        """Makes training batches from a rank's share of a step's rows."""

    @abstractmethod
    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum of the losses of the batch's rows, their total weight)."""

    def views(self, batch: MiniBatch) -> tuple[MiniBatch, ...]:
        """What the model reads in training. Default: the batch as it is."""
        return (batch,)

    def loss_of_views(self, vectors: Sequence[dict[NodeType, Tensor]], batch: MiniBatch) -> tuple[Tensor, float]:
        """`loss`, from the vectors of each view."""
        return self.loss(vectors[0], batch)

    @abstractmethod
    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """Metrics of a split."""

    @abstractmethod
    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """How validation during training is done."""

    def read_edges(
        self, widths: Mapping[str, int], sources: Mapping[str, FeatureSource], magnitudes: Mapping[str, float]
    ) -> None:
        """Inputs of the scored edges, where the configuration names some: their widths, where rows come from, and
        what some are divided by."""
        self.scored_sources = dict(sources)

    @property
    def training_state(self) -> nn.Module | None:
        """What the task keeps for training beside the head: part of resume points, not of the model; its parameters
        learn. Default: nothing."""
        return None

    @property
    def refresh_steps(self) -> int | None:
        """After how many optimizer steps the task makes something anew of the model in training, for batches to come.
        Default, None: it makes nothing."""
        return None

    def must_refresh(self, updates: int) -> bool:
        """Whether what it made is older than step `updates` may have. Only called with `refresh_steps`, as the next
        two."""
        return False

    def refresh(self, embedder: Embedder, updates: int) -> None:
        """Make it anew, on all ranks together; part of `training_state`."""

    def take_up(self) -> None:
        """Make batches with what is there, made now or read from a resume point."""

    def shares(self, model: nn.Module) -> None:
        """Called once before training, on the device: the model whose vectors the task reads. Default: it does not
        matter."""

    def stepped(self) -> None:
        """Called after an optimizer step, which may be of several batches. Default: it does not matter."""

    def quiet(self) -> AbstractContextManager[None]:
        """While it is entered, losses leave no trace in what the task keeps for training. Default: they never do."""
        return nullcontext()

    def numbers(self) -> dict[str, float]:
        """Numbers of the last step for the log. Default: none."""
        return {}

    def check_validation(self) -> None:
        """DataError when a training cannot validate, for lack of rows. Default: nothing is lacking."""

    def notes(self) -> Iterator[str]:
        """What the user should know about the data before training starts. Default: nothing."""
        return iter(())

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        """Lines on what a batch is about, beside its seeds and blocks. Default: none."""
        return iter(())

    def predictions(self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow) -> Predictions:
        """Predictions for all rows, from vectors [count, D] of all nodes of its types. Only called if `predicts`."""
        raise NotImplementedError(f"{type(self).__name__} sets predicts, and must implement predictions")

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """The nodes whose vectors are needed to predict what is asked for, by type; None: all. Default: all."""
        return dict.fromkeys(self.node_types)

    def asked_predictions(
        self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow, asked: Asked
    ) -> Predictions:
        """Predictions for the rows that are asked for, from the vectors of those nodes that are `needed`. Default: of
        `predictions`, the rows of nodes that are named."""
        made = self.predictions(vectors, config, follow)
        return replace(made, rows=asked.nodes.get(made.row_type) if isinstance(made.row_type, str) else asked.edges)

    def predicted_tables(
        self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow, asked: Asked
    ) -> dict[str, Predictions]:
        """Tables of predictions by the name of their folder. Default: `asked_predictions` alone."""
        return {"predictions": self.asked_predictions(vectors, config, follow, asked)}

    def end_vectors(self) -> tuple[EndVectors, ...]:
        """Vectors to write beside the embeddings, where the head compares other vectors than these. Default: none."""
        return ()

    def results(self, config: InferConfig) -> dict[str, Any]:
        """What the manifest of the results says about the task. Default: nothing."""
        return {}
