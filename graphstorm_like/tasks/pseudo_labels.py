"""GLEM's objective (Zhao et al., ICLR 2023, eq. 8): gold labels, and a teacher's probabilities on all other nodes.

loss = (1 - w) * mean over gold nodes of CE(y, p) + w * mean over the others of CE(q, p)

Each row is weighted by the inverse share of its kind, so that batches may mix both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.batch_size import BatchSize, rows_a_step
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import NodeType
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice, SeedStream
from graphstorm_like.sampling.steps import NodeSeeder
from graphstorm_like.tasks.base import NodeClassifier


class PseudoLabels:
    """An objective over the task's own head. probabilities [count, C]: the teacher's; labels of validation and test
    nodes are never read, but their texts are."""

    def __init__(
        self,
        task: NodeClassifier,
        probabilities: npt.NDArray[np.float32],
        weight: float,
        min_confidence: float = 0.0,
    ) -> None:
        self.task, self.probabilities = task, torch.from_numpy(probabilities)
        gold, labels = task.training_labels()
        self.is_gold = np.zeros(len(probabilities), dtype=bool)
        self.is_gold[gold] = True
        self._labels = np.zeros(len(probabilities), dtype=np.int64)
        self._labels[gold] = labels
        pseudo_rows = np.flatnonzero(~self.is_gold & (probabilities.max(axis=1) >= min_confidence))
        if not len(pseudo_rows):
            raise DataError(
                f"{task.graph.folder}: strategy glem must find nodes of type {task.node_type} without a "
                f"training label (got none whose pseudo label is as probable as {min_confidence}). Lower min_confidence"
            )
        self.rows = np.concatenate([gold, pseudo_rows])
        share = len(gold) / len(self.rows)
        self.row_weights = ((1.0 - weight) / share, weight / (1.0 - share))
        """Weight of a gold row, and of a pseudo-labelled row."""

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """Over gold nodes and pseudo-labelled ones."""
        return SeedStream(self.rows, rows_a_step(batch_size, len(self.rows)), seed)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> NodeSeeder:
        """Nodes without their labels: the loss looks them up."""
        return NodeSeeder(self.task.node_type, None, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """(weighted sum over the batch's rows, number of rows)."""
        node_type = self.task.node_type
        ids = batch.seeds[node_type].cpu()
        logits = self.task.logits(vectors[node_type]).float()
        gold = torch.from_numpy(self.is_gold[ids.numpy()])
        targets = self.probabilities[ids]
        labels = torch.from_numpy(self._labels[ids.numpy()][gold.numpy()])
        targets[gold] = F.one_hot(labels, logits.shape[1]).to(targets.dtype)
        losses = F.cross_entropy(
            logits, targets.to(logits.device), reduction="none", label_smoothing=self.task.label_smoothing
        )
        of_gold, of_pseudo = self.row_weights
        weights = torch.where(gold, torch.tensor(of_gold), torch.tensor(of_pseudo)).to(logits.device)
        return (losses * weights).sum(), float(len(ids))
