"""What a label, a class or a number, requires of a head: number of outputs, loss, predictions, metrics.

The same for nodes and edges. Labels come as the store has them: class indices int32, numbers float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.tasks.labels import ClassLabelConfig, NumberLabelConfig
from graphstorm_like.errors import TrainingError
from graphstorm_like.graph.schema import NO_LABEL
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry
from graphstorm_like.tasks.metrics import LabelFacts, Metrics

Labels = npt.NDArray[Any]

TARGETS: Registry[Callable[[Any, Sequence[str], Labels], LabelTarget]] = Registry("kind of label")
"""Called with (config, names of the classes, the training rows' labels)."""


def has_label(labels: Labels) -> npt.NDArray[np.bool_]:
    """[n]: which rows have a label."""
    labelled: npt.NDArray[np.bool_] = ~np.isnan(labels) if labels.dtype.kind == "f" else labels != NO_LABEL
    return labelled


class LabelTarget(nn.Module, ABC):
    """Made from the training rows' labels. `width`: outputs of the head."""

    width: int
    classes: Sequence[str] = ()
    """Names of the classes, by index; none of numbers."""

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """outputs [B, width], labels [B] -> (sum over rows, their total weight)."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """outputs [n, width] -> class probabilities [n, width], or numbers [n]."""

    @abstractmethod
    def columns(self, predicted: npt.NDArray[np.float32], labels: Labels) -> dict[str, pa.Array]:
        """Columns of n rows: prediction, label (null where there is none) and more, from what `predict` gives."""

    @abstractmethod
    def metrics(
        self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = SINGLE_PROCESS
    ) -> dict[str, float]:
        """Metrics of the configuration, from what `predict` gives for n rows and their labels [n] on every rank."""


@TARGETS.register(ClassLabelConfig)
class ClassTarget(LabelTarget):
    """Cross-entropy over the classes named in the graph's manifest."""

    def __init__(self, config: ClassLabelConfig, classes: Sequence[str], train: Labels) -> None:
        super().__init__()
        self.config, self.classes, self.width = config, list(classes), len(classes)
        self._metrics = Metrics(config.metrics, LabelFacts(classes=len(classes)))
        weights = torch.ones(self.width)
        if config.class_weights == "balanced":
            counts = np.bincount(train, minlength=self.width)
            weights = torch.from_numpy(len(train) / (len(counts) * np.maximum(counts, 1))).float()
        self.register_buffer("class_weights", weights, persistent=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See LabelTarget."""
        weights = self.get_buffer("class_weights")
        loss = F.cross_entropy(outputs, labels, weights, reduction="sum", label_smoothing=self.config.label_smoothing)
        return loss, float(weights[labels].sum())

    def predict(self, outputs: Tensor) -> Tensor:
        """See LabelTarget."""
        return outputs.softmax(1)

    def columns(self, predicted: npt.NDArray[np.float32], labels: Labels) -> dict[str, pa.Array]:
        """prediction and label: names of classes; probability: of the prediction; probabilities: one number per
        class, under its name."""
        names = pa.array(self.classes, pa.string())
        of_classes = [pa.array(np.ascontiguousarray(column)) for column in predicted.T]
        return {
            "prediction": names.take(pa.array(predicted.argmax(axis=1))),
            "probability": pa.array(predicted.max(axis=1)),
            "probabilities": pa.StructArray.from_arrays(of_classes, names=self.classes),
            "label": names.take(pa.array(labels, pa.int32(), mask=~has_label(labels))),
        }

    def metrics(
        self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = SINGLE_PROCESS
    ) -> dict[str, float]:
        """See LabelTarget."""
        return self._metrics.measure(predicted, labels.astype(np.int64), group)


@TARGETS.register(NumberLabelConfig)
class NumberTarget(LabelTarget):
    """Squared or Huber loss on standardised labels; mean and deviation are saved with the weights."""

    width = 1

    def __init__(self, config: NumberLabelConfig, classes: Sequence[str], train: Labels) -> None:
        super().__init__()
        self.config = config
        values = train.astype(np.float64) if len(train) else np.zeros(1)  # only scored: both come with the weights
        self.register_buffer("mean", torch.tensor(values.mean(), dtype=torch.float32))
        # When all labels are equal there is nothing to learn but the mean.
        self.register_buffer("std", torch.tensor(values.std() or 1.0, dtype=torch.float32))

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See LabelTarget."""
        standardised = (labels - self.get_buffer("mean")) / self.get_buffer("std")
        measure = F.mse_loss if self.config.loss == "mse" else F.huber_loss
        return measure(outputs.squeeze(1), standardised, reduction="sum"), float(len(labels))

    def predict(self, outputs: Tensor) -> Tensor:
        """See LabelTarget."""
        return outputs.squeeze(1) * self.get_buffer("std") + self.get_buffer("mean")

    def columns(self, predicted: npt.NDArray[np.float32], labels: Labels) -> dict[str, pa.Array]:
        """prediction and label: numbers."""
        return {"prediction": pa.array(predicted), "label": pa.array(labels, mask=~has_label(labels))}

    def metrics(
        self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = SINGLE_PROCESS
    ) -> dict[str, float]:
        """See LabelTarget."""
        if not (np.isfinite(predicted).all() and np.isfinite(labels).all()):
            raise TrainingError(
                "predictions must be finite numbers (got NaN). Lower train.lr or look for extreme features"
            )
        facts = LabelFacts(center=float(self.get_buffer("mean")), spread=float(self.get_buffer("std")))
        return Metrics(self.config.metrics, facts).measure(predicted, labels, group)
