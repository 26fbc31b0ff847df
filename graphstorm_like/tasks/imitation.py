"""Distillation: a student's vectors imitate a teacher's, and its class probabilities the teacher's.

loss_i = a * d(s_i, t_i) + b * T^2 * KL(softmax(z_teacher / T) || softmax(z_student / T))

d: 1 - cosine, or squared error over the teacher's mean square. (Hinton et al. 2015 for the second term.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.batch_size import BatchSize, rows_a_step
from graphstorm_like.config.phases import StudentPhase
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice, SeedStream
from graphstorm_like.sampling.steps import some_of
from graphstorm_like.tasks.base import Task


@dataclass(frozen=True)
class TypedSeeder:
    """Numbers the nodes of several types, one type after the other: row -> node of a type."""

    starts: Mapping[NodeType, int]
    counts: Mapping[NodeType, int]
    share: RankSlice = ALL_ROWS

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Rows -> seeds by type."""
        ids, weight = some_of(self.share, ids)
        seeds = {}
        for node_type, start in self.starts.items():
            of_type = ids[(ids >= start) & (ids < start + self.counts[node_type])] - start
            if len(of_type):
                seeds[node_type] = torch.from_numpy(of_type)
        return MiniBatch(seeds=seeds, position=position, weight=weight)


class Imitation:
    """An objective. teacher: vectors [count, hidden] of all nodes of the task's types; task: the student's, whose head
    (of node classification) learns from the teacher's probabilities [count, C]."""

    def __init__(
        self,
        phase: StudentPhase,
        task: Task,
        teacher: Mapping[NodeType, Vectors],
        probabilities: Vectors | None,
    ) -> None:
        self.phase, self.task = phase, task
        self.teacher = {t: torch.from_numpy(np.asarray(v)) for t, v in teacher.items()}
        self.mean_square = {t: float(v.square().mean()) for t, v in self.teacher.items()}
        self.log_probabilities = None if probabilities is None else torch.from_numpy(probabilities).clamp(1e-8).log()
        counts = {t: len(v) for t, v in self.teacher.items()}
        starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
        self._seeder, self.rows = TypedSeeder(starts, counts), np.arange(sum(counts.values()))

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """Over all nodes: the teacher needs no labels."""
        return SeedStream(self.rows, rows_a_step(batch_size, len(self.rows)), seed)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> TypedSeeder:
        """See TypedSeeder."""
        return replace(self._seeder, share=share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(sum over the batch's nodes, their number)."""
        total, count = torch.zeros((), device=self.task.device), 0
        for node_type, ids in batch.seeds.items():
            student = vectors[node_type].float()
            teacher = self.teacher[node_type][ids.cpu()].to(student.device)
            if self.phase.embedding_loss == "cosine":
                distance = 1.0 - F.cosine_similarity(student, teacher, dim=-1)
            else:
                distance = (student - teacher).square().mean(dim=-1) / self.mean_square[node_type]
            total = total + self.phase.embedding_weight * distance.sum() + self._label_loss(student, ids)
            count += len(ids)
        return total, float(count)

    def _label_loss(self, student: Tensor, ids: Tensor) -> Tensor:
        classifier = self.task.node_classifier
        if self.log_probabilities is None or classifier is None:
            return torch.zeros((), device=student.device)
        temperature = self.phase.temperature
        of_student = F.log_softmax(classifier.logits(student).float() / temperature, dim=-1)
        of_teacher = F.log_softmax(self.log_probabilities[ids.cpu()].to(of_student.device) / temperature, dim=-1)
        loss = F.kl_div(of_student, of_teacher, reduction="sum", log_target=True)
        return self.phase.label_weight * temperature**2 * loss
