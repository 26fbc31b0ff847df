"""The interface between the training loop and what it trains, and the learner of a graph network on fixed inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from graphstorm_like.config.train import TrainConfig
from graphstorm_like.graph.store import NodeType
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.inputs.rank_rows import RankRows
from graphstorm_like.models.inputs import EMBEDDING
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.steps import Step
from graphstorm_like.tasks import Objective, Task
from graphstorm_like.training.adversary import InputAdversary
from graphstorm_like.training.optim import ParameterGroup, module_groups


class Learner(Protocol):
    """Computes gradients of batches for the training loop."""

    @property
    def objective(self) -> Objective:
        """What training minimises."""
        ...

    @property
    def trained(self) -> nn.Module:
        """All modules that a resume point holds."""
        ...

    @property
    def tables(self) -> Sequence[RankRows]:
        """Tables that a resume point holds."""
        ...

    def batches(self) -> BatchPipeline:
        """Makes training batches."""
        ...

    def groups(self) -> list[ParameterGroup]:
        """Dense parameters that learn."""
        ...

    def backward(self, batch: MiniBatch) -> tuple[float, float]:
        """Forward and backward of one batch, which is on the device: (sum of losses, their weight)."""
        ...

    def at(self, updates: int) -> None:
        """Training is at step `updates`: called at the start and after a resume."""
        ...

    def stepped(self, updates: int) -> dict[str, float]:
        """Called after an optimizer step, the `updates`-th of all; returns numbers for the log."""
        ...

    def before_validation(self) -> None:
        """Bring everything up to date: validation must see what inference will."""
        ...

    def epoch_note(self) -> str:
        """A part of the line of an epoch that is over; '' for none."""
        ...


@dataclass(frozen=True)
class Computing:
    """Where and how a learner computes. half: whether products run under bfloat16 autocast; seed: the run's; share:
    this rank's part of every step."""

    device: torch.device
    half: bool
    seed: int
    share: RankSlice

    def autocast(self) -> torch.autocast:
        """For forward passes."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def dropout_seed(self, batch: MiniBatch, *piece: int) -> int:
        """Seed of a batch, or of a piece of one; each rank has its own."""
        rank = (self.share.rank,) if self.share.rank else ()
        return torch_seed(self.seed, "dropout", batch.position.epoch, batch.position.step, *piece, *rank)


@dataclass(frozen=True)
class LearnableRows:
    """Learnable vectors of nodes as inputs of a batch. tables: by node type."""

    tables: Mapping[NodeType, NodeEmbeddings]
    device: torch.device

    def put_into(self, batch: MiniBatch) -> tuple[MiniBatch, dict[NodeType, Tensor]]:
        """The batch with the present rows, and these rows as leaf tensors, which receive the gradients."""
        pending = {t: table.begin_rows(batch.input_ids[t].cpu().numpy()) for t, table in self._read_by(batch).items()}
        leaves = {t: torch.from_numpy(rows.wait()).to(self.device).requires_grad_() for t, rows in pending.items()}
        features = dict(batch.features)
        for node_type, rows in leaves.items():
            features[node_type] = {**features.get(node_type, {}), EMBEDDING: rows}
        return batch.replace(features=features), leaves

    def keep_gradients(self, batch: MiniBatch, leaves: Mapping[NodeType, Tensor]) -> None:
        """After a backward pass, for the next step."""
        for node_type, table in self._read_by(batch).items():
            table.touched(batch.input_ids[node_type], leaves[node_type].grad)

    def _read_by(self, batch: MiniBatch) -> dict[NodeType, NodeEmbeddings]:
        return {t: table for t, table in self.tables.items() if t in batch.input_ids}


def plus(vectors: dict[NodeType, Tensor], added: Tensor | None) -> dict[NodeType, Tensor]:
    """Vectors [S, D] by type with a number added, if there is one."""
    return vectors if added is None else {node_type: rows + added for node_type, rows in vectors.items()}


def loss_of(
    objective: Objective, task: Task, model: LmGnn, batch: MiniBatch, added: Tensor | None
) -> tuple[Tensor, float]:
    """(sum of losses, their weight) of a batch with all its features. added: to all vectors of the model."""
    if objective is not task:
        return objective.loss(plus(model(batch), added), batch)
    return task.loss_of_views([plus(model(view), added) for view in task.views(batch)], batch)


def with_state(modules: nn.ModuleDict, state: nn.Module | None) -> nn.ModuleDict:
    """The modules, and what the task keeps for training."""
    return modules if state is None else nn.ModuleDict({**modules, "task_state": state})


@dataclass(frozen=True)
class GraphLearner:
    """A Learner of a model and a head, on inputs that do not change.

    modules: both of them. steps: what happens to a batch after its seeds are chosen.
    """

    modules: nn.ModuleDict
    model: LmGnn
    task: Task
    embeddings: LearnableRows
    steps: Sequence[Step]
    train: TrainConfig
    computing: Computing
    adversary: InputAdversary | None = None

    @property
    def objective(self) -> Objective:
        """See Learner."""
        return self.task

    @property
    def trained(self) -> nn.Module:
        """See Learner."""
        return with_state(self.modules, self.task.training_state)

    @property
    def tables(self) -> Sequence[RankRows]:
        """See Learner."""
        return list(self.embeddings.tables.values())

    def batches(self) -> BatchPipeline:
        """See Learner."""
        return BatchPipeline(self.objective.seeder(self.computing.seed, self.computing.share), self.steps)

    def groups(self) -> list[ParameterGroup]:
        """See Learner."""
        return module_groups(self.trained, self.train)

    def backward(self, batch: MiniBatch) -> tuple[float, float]:
        """See Learner."""
        batch, leaves = self.embeddings.put_into(batch)
        if self.adversary is None:
            loss, count = self._loss(batch)
            (loss * batch.weight).backward()  # type: ignore[no-untyped-call]
            total = loss.item()
        else:
            total, count = self.adversary.backward(batch, self._loss, batch.weight)
        self.embeddings.keep_gradients(batch, leaves)
        return total * batch.weight, count * batch.weight

    def _loss(self, batch: MiniBatch, added: Tensor | None = None) -> tuple[Tensor, float]:
        """(sum of losses, their weight) of a batch with all its features. added: to all vectors of the model."""
        torch.manual_seed(self.computing.dropout_seed(batch))
        with self.computing.autocast():
            return loss_of(self.objective, self.task, self.model, batch, added)

    def at(self, updates: int) -> None:
        """See Learner."""

    def stepped(self, updates: int) -> dict[str, float]:
        """See Learner."""
        numbers = self.task.numbers()
        return numbers if self.adversary is None else {**numbers, **self.adversary.cost.numbers}

    def before_validation(self) -> None:
        """See Learner."""

    def epoch_note(self) -> str:
        """See Learner."""
        return "" if self.adversary is None else self.adversary.cost.note()
