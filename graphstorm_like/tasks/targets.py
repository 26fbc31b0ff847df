"""What a label asks of a head: how many outputs, which loss, what they predict, which metrics. Classes or numbers.

The same for nodes and edges. Labels come as the store has them: class indices int32, numbers float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.tasks.labels import ClassLabelConfig, NumberLabelConfig
from graphstorm_like.errors import TrainingError
from graphstorm_like.ranks.group import ALONE, Group

Labels = npt.NDArray[Any]


class Target(nn.Module, ABC):
    """Made from the training rows' labels. `width`: outputs of the head."""

    width: int
    higher_is_better = True
    """Whether the metric that selects the model is."""

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """outputs [B, width], labels [B] -> (sum over rows, their total weight)."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """outputs [n, width] -> class probabilities [n, width], or numbers [n]."""

    @abstractmethod
    def metrics(self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = ALONE) -> dict[str, float]:
        """Metrics of the configuration, from what `predict` gives for n rows and their labels [n] on every rank."""


class ClassTarget(Target):
    """Cross-entropy over the classes named in the graph's manifest; accuracy and macro-F1."""

    def __init__(self, config: ClassLabelConfig, classes: Sequence[str], train: Labels) -> None:
        super().__init__()
        self.config, self.classes, self.width = config, list(classes), len(classes)
        weights = torch.ones(self.width)
        if config.class_weights == "balanced":
            seen = np.bincount(train, minlength=self.width)
            weights = torch.from_numpy(len(train) / (len(seen) * np.maximum(seen, 1))).float()
        self.register_buffer("class_weights", weights, persistent=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See Target."""
        weights = self.get_buffer("class_weights")
        loss = F.cross_entropy(outputs, labels, weights, reduction="sum", label_smoothing=self.config.label_smoothing)
        return loss, float(weights[labels].sum())

    def predict(self, outputs: Tensor) -> Tensor:
        """See Target."""
        return outputs.softmax(1)

    def metrics(self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = ALONE) -> dict[str, float]:
        """See Target."""
        pairs = labels.astype(np.int64) * self.width + predicted.argmax(axis=1)
        confusion = np.bincount(pairs, minlength=self.width**2).astype(np.float64)
        confusion = group.total(confusion, "scores").reshape(self.width, self.width)
        return classification_metrics(confusion, self.config.metrics)


class NumberTarget(Target):
    """Squared or Huber loss on standardised labels; mean and deviation are saved with the weights."""

    width = 1

    def __init__(self, config: NumberLabelConfig, train: Labels) -> None:
        super().__init__()
        self.config, self.higher_is_better = config, config.select_by == "r2"
        values = train.astype(np.float64)
        self.register_buffer("mean", torch.tensor(values.mean(), dtype=torch.float32))
        # Of equal labels there is nothing to learn but the mean.
        self.register_buffer("std", torch.tensor(values.std() or 1.0, dtype=torch.float32))

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See Target."""
        wanted = (labels - self.get_buffer("mean")) / self.get_buffer("std")
        measure = F.mse_loss if self.config.loss == "mse" else F.huber_loss
        return measure(outputs.squeeze(1), wanted, reduction="sum"), float(len(labels))

    def predict(self, outputs: Tensor) -> Tensor:
        """See Target."""
        return outputs.squeeze(1) * self.get_buffer("std") + self.get_buffer("mean")

    def metrics(self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = ALONE) -> dict[str, float]:
        """See Target."""
        return regression_metrics(predicted, labels, self.config.metrics, group)


def classification_metrics(confusion: npt.NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    """Metrics by name from counts [labels, predictions]; macro_f1 averages over classes seen in either.

    From counts, for they add up over ranks; on one process the same numbers as torchmetrics'.
    """
    right, seen = confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = 2.0 * right[seen > 0] / seen[seen > 0]
    known = {"accuracy": right.sum() / max(confusion.sum(), 1.0), "macro_f1": f1.mean() if len(f1) else 0.0}
    return {name: float(known[name]) for name in names}


def regression_metrics(
    predicted: Labels, labels: Labels, names: Sequence[str], group: Group = ALONE
) -> dict[str, float]:
    """Metrics by name from numbers [n]: rmse, mae, and r2 = 1 - squared errors / those of the labels' mean.

    Of labels that are all equal r2 is 1 when every prediction is right, else 0. Raises TrainingError on NaN.
    """
    wanted = labels.astype(np.float64)
    errors = predicted.astype(np.float64) - wanted
    if not np.isfinite(errors).all():
        raise TrainingError("predictions must be finite numbers (got NaN). Lower train.lr or look for extreme features")
    sums = np.array([len(errors), wanted.sum(), (errors**2).sum(), np.abs(errors).sum()])
    count, total, squared, absolute = group.total(sums, "scores").tolist()
    # About the mean of all ranks, not from a sum of squares, whose digits would cancel.
    spread = float(group.total(np.array([((wanted - total / count) ** 2).sum()]), "scores")[0])
    known = {
        "rmse": (squared / count) ** 0.5,
        "mae": absolute / count,
        "r2": 1.0 - squared / spread if spread else float(squared == 0.0),
    }
    return {name: known[name] for name in names}
