"""A task: which seeds, which loss, which metrics. The training loop knows no more of it than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.stages import Seeder

Mode = Literal["layer_wise", "mini_batch"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How vectors for scoring are made: mode, and for mini_batch the fanouts and the seed."""

    mode: Mode
    fanouts: Sequence[FanoutByType]
    seed: int

    def vectors(self, embedder: Embedder, node_type: NodeType, ids: IntArray) -> Vectors:
        """[len(ids), D]"""
        if self.mode == "layer_wise":
            return embedder.layer_wise([node_type])[node_type][ids]
        return embedder.mini_batch(node_type, ids, self.fanouts, self.seed)


class Objective(Protocol):
    """What training minimises: a task, or something else that is learnt with its head."""

    def rows(self, split: str) -> IntArray:
        """Node or edge ids of a split; training asks for 'train'."""
        ...

    def seeder(self, seed: int, rank: int = 0) -> Seeder:
        """Makes training batches."""
        ...

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum of the losses of the batch's rows, their total weight)."""
        ...


class Task(nn.Module, ABC):
    """Holds the head's parameters. `hidden` is the width of the model's vectors."""

    select_by: str
    """The metric that early stopping follows; higher is better."""

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

    @abstractmethod
    def seeder(self, seed: int, rank: int = 0) -> Seeder:
        """Makes training batches."""

    @abstractmethod
    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum of the losses of the batch's rows, their total weight)."""

    @abstractmethod
    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """Metrics of a split."""

    @abstractmethod
    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """How validation during training is done."""
