"""A task: which seeds, which loss, which metrics. The training loop knows no more of it than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.ranks.group import ALONE, Group
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.seeds import ALONE as ALL_ROWS
from graphstorm_like.sampling.seeds import SeedStream, Share
from graphstorm_like.sampling.stages import FeatureSource, Seeder

Mode = Literal["layer_wise", "mini_batch"]
Lookup = Callable[[NodeType, IntArray | None], Vectors]
"""(node type, ids [n] or None for all) -> vectors [n, D]"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How vectors for scoring are made: mode, and for mini_batch the fanouts and the seed."""

    mode: Mode
    fanouts: Sequence[FanoutByType]
    seed: int

    def vectors(self, embedder: Embedder, node_type: NodeType, ids: IntArray) -> Vectors:
        """[len(ids), D]"""
        return self.lookup(embedder, [node_type])(node_type, ids)

    def lookup(self, embedder: Embedder, node_types: Sequence[NodeType]) -> Lookup:
        """Vectors of nodes of the given types, many times over: those of all nodes of a type are computed once."""
        every = embedder.layer_wise(node_types) if self.mode == "layer_wise" else {}

        def find(node_type: NodeType, ids: IntArray | None) -> Vectors:
            if ids is not None and node_type not in every:
                return embedder.mini_batch(node_type, ids, self.fanouts, self.seed)
            if node_type not in every:
                every[node_type] = embedder.mini_batch_all(node_type, self.fanouts, self.seed)
            return every[node_type] if ids is None else every[node_type][ids]

        return find


class Objective(Protocol):
    """What training minimises: a task, or something else that is learnt with its head."""

    def stream(self, batch_size: int, seed: int) -> SeedStream:
        """Which training rows come when."""
        ...

    def seeder(self, seed: int, share: Share = ALL_ROWS) -> Seeder:
        """Makes training batches."""
        ...

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum of the losses of the batch's rows, their total weight)."""
        ...


class Task(nn.Module, ABC):
    """Holds the head's parameters. `hidden` is the width of the model's vectors."""

    select_by: str
    """The metric that early stopping follows."""
    higher_is_better: bool = True
    """Whether that metric is better when it is higher."""
    exclude_targets: bool = True
    """Whether a training batch's own edges, if it is about edges, are no messages in it."""
    scored_splits: tuple[str, ...] = ("valid", "test")
    """What `gsl evaluate` scores."""
    group: Group = ALONE
    """The ranks that train together: they share a step's rows, and a split's when it is scored."""
    scored_sources: Mapping[str, FeatureSource] = {}
    """Where what scored edges themselves carry comes from, by name."""
    relations: tuple[str, ...] = ()
    """Names of edge types: what the rows of the head's `relations` [R, D] belong to, if it has such parameters."""
    predicts: bool = True
    """Whether there is anything to predict for the user; if not, only embeddings are written."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_where", torch.empty(0), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the task computes, also when its head has no parameters."""
        return self.get_buffer("_where").device

    @property
    @abstractmethod
    def node_types(self) -> tuple[NodeType, ...]:
        """The types whose vectors the task reads."""

    @abstractmethod
    def rows(self, split: str) -> IntArray:
        """Node or edge ids of a split."""

    def stream(self, batch_size: int, seed: int) -> SeedStream:
        """Which training rows come when."""
        return SeedStream(self.rows("train"), batch_size, seed)

    @abstractmethod
    def seeder(self, seed: int, share: Share = ALL_ROWS) -> Seeder:
        """Makes training batches, of a rank's share of a step's rows."""

    @abstractmethod
    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum of the losses of the batch's rows, their total weight)."""

    @abstractmethod
    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """Metrics of a split."""

    @abstractmethod
    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """How validation during training is done."""
