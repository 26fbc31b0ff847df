"""A task: which seeds, which loss, which metrics. The training loop knows no more of it than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

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
        return self.vectors_of(embedder, {node_type: ids})[node_type]

    def vectors_of(self, embedder: Embedder, ids: Mapping[NodeType, IntArray]) -> dict[NodeType, Vectors]:
        """[len(ids), D] of each type, layer-wise in one pass."""
        if self.mode == "layer_wise":
            found = embedder.layer_wise(list(ids))
            return {t: found[t][rows] for t, rows in ids.items()}
        return {t: embedder.mini_batch(t, rows, self.fanouts, self.seed) for t, rows in ids.items()}


class Task(nn.Module, ABC):
    """Holds the head's parameters. `hidden` is the width of the model's vectors."""

    select_by: str
    """The metric that early stopping follows."""
    higher_is_better: bool = True
    """Whether that metric is better when it is higher."""
    exclude_targets: bool = True
    """Whether a training batch's own edges, if it is about edges, are no messages in it."""

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
