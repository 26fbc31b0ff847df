"""What a label, a class, several or a number, requires of a head: number of outputs, loss, predictions, metrics.

The same for nodes and edges. Labels come as the store has them: class indices int32; several classes uint8 [n, C], 1
where a row has the class; numbers float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn

from graphstorm_like.config.tasks.labels import ClassesLabelConfig, ClassLabelConfig, ClassWeights, NumberLabelConfig
from graphstorm_like.errors import ConfigError, TrainingError, unknown
from graphstorm_like.graph.schema import NO_CLASSES, NO_LABEL
from graphstorm_like.models.label_losses import LABEL_LOSSES
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry
from graphstorm_like.tasks.metrics import LabelFacts, Metrics

Labels = npt.NDArray[Any]

TARGETS: Registry[Callable[[Any, Sequence[str], Labels], LabelTarget]] = Registry("kind of label")
"""Called with (config, names of the classes, the training rows' labels)."""


def has_label(labels: Labels) -> npt.NDArray[np.bool_]:
    """[n]: which rows have a label."""
    if labels.ndim == 2:
        labelled: npt.NDArray[np.bool_] = labels[:, 0] != NO_CLASSES
        return labelled
    labelled = ~np.isnan(labels) if labels.dtype.kind == "f" else labels != NO_LABEL
    return labelled


def class_weights(config: ClassWeights, classes: Sequence[str], balanced: Callable[[], npt.NDArray[Any]]) -> Tensor:
    """[C]: what the configuration gives classes, 1 otherwise. balanced: weights [C] that make up for frequencies."""
    weights = torch.ones(len(classes))
    if config == "balanced":
        return torch.from_numpy(balanced()).float()
    places = {name: place for place, name in enumerate(classes)}
    for name, weight in config.items() if isinstance(config, dict) else ():
        if name not in places:
            raise ConfigError(unknown("task.class_weights", "class", name, places))
        weights[places[name]] = weight
    return weights


class LabelTarget(nn.Module, ABC):
    """Made from the training rows' labels. `width`: outputs of the head."""

    width: int
    classes: Sequence[str] = ()
    """Names of the classes, by index; none of numbers."""

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """outputs [B, width], labels [B] (several classes: [B, C]) -> (sum over rows, their total weight)."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """outputs [n, width] -> probabilities of classes [n, width], or numbers [n]."""

    @abstractmethod
    def columns(self, predicted: npt.NDArray[np.float32], labels: Labels) -> dict[str, pa.Array]:
        """Columns of n rows: prediction, label (null where there is none) and more, from what `predict` gives."""

    def chosen(self, predicted: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """[n, C]: which of several classes rows are predicted to have, from what `predict` gives."""
        raise NotImplementedError(f"{type(self).__name__} has one label a row")

    @abstractmethod
    def unlabelled(self, count: int) -> Labels:
        """What the store has for rows without a label."""

    @abstractmethod
    def metrics(
        self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = SINGLE_PROCESS
    ) -> dict[str, float]:
        """Metrics of the configuration, from what `predict` gives for n rows and their labels [n] on every rank."""


@TARGETS.register(ClassLabelConfig)
class ClassTarget(LabelTarget):
    """One of the classes named in the graph's manifest."""

    def __init__(self, config: ClassLabelConfig, classes: Sequence[str], train: Labels) -> None:
        super().__init__()
        self.config, self.classes, self.width = config, list(classes), len(classes)
        self._metrics = Metrics(config.metrics, LabelFacts(classes=len(classes), names=classes))
        self._loss = LABEL_LOSSES.of(config.loss)(config.loss)

        def balanced() -> npt.NDArray[Any]:
            counts = np.bincount(train, minlength=self.width)
            weights: npt.NDArray[np.float64] = len(train) / (len(counts) * np.maximum(counts, 1))
            return weights

        self.register_buffer("class_weights", class_weights(config.class_weights, classes, balanced), persistent=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See LabelTarget."""
        loss: tuple[Tensor, float] = self._loss(outputs, labels, self.get_buffer("class_weights"))
        return loss

    def unlabelled(self, count: int) -> Labels:
        """See LabelTarget."""
        return np.full(count, NO_LABEL, dtype=np.int32)

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


@TARGETS.register(ClassesLabelConfig)
class ClassesTarget(LabelTarget):
    """Any number of the classes named in the graph's manifest: a probability each."""

    def __init__(self, config: ClassesLabelConfig, classes: Sequence[str], train: Labels) -> None:
        super().__init__()
        self.config, self.classes, self.width = config, list(classes), len(classes)
        facts = LabelFacts(classes=len(classes), threshold=config.threshold, names=classes)
        self._metrics = Metrics(config.metrics, facts)
        self._loss = LABEL_LOSSES.of(config.loss)(config.loss)

        def balanced() -> npt.NDArray[Any]:
            having = train.sum(axis=0, dtype=np.int64)
            weights: npt.NDArray[np.float64] = np.maximum(len(train) - having, 1) / np.maximum(having, 1)
            return weights

        self.register_buffer("class_weights", class_weights(config.class_weights, classes, balanced), persistent=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See LabelTarget."""
        loss: tuple[Tensor, float] = self._loss(outputs, labels, self.get_buffer("class_weights"))
        return loss

    def unlabelled(self, count: int) -> Labels:
        """See LabelTarget."""
        return np.full((count, self.width), NO_CLASSES, dtype=np.uint8)

    def predict(self, outputs: Tensor) -> Tensor:
        """See LabelTarget."""
        return outputs.sigmoid()

    def columns(self, predicted: npt.NDArray[np.float32], labels: Labels) -> dict[str, pa.Array]:
        """prediction and label: lists of names of classes; probabilities: one number per class, under its name."""
        of_classes = [pa.array(np.ascontiguousarray(column)) for column in predicted.T]
        labelled = has_label(labels)
        return {
            "prediction": self._lists(self.chosen(predicted), np.ones(len(predicted), dtype=np.bool_)),
            "probabilities": pa.StructArray.from_arrays(of_classes, names=self.classes),
            "label": self._lists((labels == 1) & labelled[:, None], labelled),
        }

    def chosen(self, predicted: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """See LabelTarget."""
        above: npt.NDArray[np.bool_] = predicted > self.config.threshold
        return above

    def _lists(self, chosen: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> pa.Array:
        """chosen [n, C] -> lists of names; null where a row is not known [n]."""
        offsets = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))])
        starts = pa.array(offsets, pa.int32(), mask=np.append(~known, False))
        return pa.ListArray.from_arrays(
            starts, pa.array(self.classes, pa.string()).take(pa.array(np.nonzero(chosen)[1]))
        )

    def metrics(
        self, predicted: npt.NDArray[np.float32], labels: Labels, group: Group = SINGLE_PROCESS
    ) -> dict[str, float]:
        """See LabelTarget."""
        return self._metrics.measure(predicted, labels.astype(np.int64), group)


@TARGETS.register(NumberLabelConfig)
class NumberTarget(LabelTarget):
    """A loss on standardised labels; their mean and deviation are saved with the weights."""

    width = 1

    def __init__(self, config: NumberLabelConfig, classes: Sequence[str], train: Labels) -> None:
        super().__init__()
        self.config = config
        values = train.astype(np.float64) if len(train) else np.zeros(1)  # only scored: both come with the weights
        self.register_buffer("mean", torch.tensor(values.mean(), dtype=torch.float32))
        # When all labels are equal there is nothing to learn but the mean.
        self.register_buffer("std", torch.tensor(values.std() or 1.0, dtype=torch.float32))
        self._loss = LABEL_LOSSES.of(config.loss)(config.loss)

    def loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """See LabelTarget."""
        standardised = (labels - self.get_buffer("mean")) / self.get_buffer("std")
        loss: tuple[Tensor, float] = self._loss(outputs, standardised)
        return loss

    def unlabelled(self, count: int) -> Labels:
        """See LabelTarget."""
        return np.full(count, np.nan, dtype=np.float32)

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
