"""Classes of the nodes of one type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from graphstorm_like.config.task import NodeClassificationConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.heads.node import NodeClassifier
from graphstorm_like.sampling.batch import MiniBatch, NodeTargets
from graphstorm_like.sampling.stages import NodeSeeder
from graphstorm_like.tasks.base import Evaluation, Task


class NodeClassification(Task):
    """Cross-entropy over the classes named in the graph's manifest; accuracy and macro-F1."""

    def __init__(self, config: NodeClassificationConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.config, self.graph, self.select_by = config, graph, config.select_by
        labels = graph.manifest.node(config.node_type).labels
        if config.label not in labels:
            raise DataError(
                unknown(f"{graph.folder}: {config.node_type}", "label", config.label, labels) + " Run: gsl construct"
            )
        self.classes = labels[config.label].classes
        self.labels = graph.label(config.node_type, config.label)
        self._rows = {s: graph.label_rows(config.node_type, config.label, s) for s in ("train", "valid", "test")}
        for split, rows in self._rows.items():
            if not len(rows):
                raise DataError(
                    f"{graph.folder}: label '{config.label}' of {config.node_type} must have rows in split {split} "
                    f"(got none). Look at the split in graph.nodes.{config.node_type}.labels.{config.label}"
                )
        self.head = NodeClassifier(hidden, len(self.classes), config.head_layers)
        weights = torch.ones(len(self.classes))
        if config.class_weights == "balanced":
            seen = np.bincount(self.labels[self._rows["train"]], minlength=len(self.classes))
            weights = torch.from_numpy(len(self._rows["train"]) / (len(seen) * np.maximum(seen, 1))).float()
        self.register_buffer("class_weights", weights, persistent=False)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return (self.config.node_type,)

    def rows(self, split: str) -> IntArray:
        """See Task."""
        return self._rows[split]

    def seeder(self, seed: int, rank: int = 0) -> NodeSeeder:
        """See Task."""
        return NodeSeeder(self.config.node_type, self.labels)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        assert isinstance(batch.targets, NodeTargets)
        labels = batch.targets.labels
        logits = self.head(vectors[self.config.node_type]).float()
        weights = self.get_buffer("class_weights")
        loss = F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=self.config.label_smoothing)
        return loss, float(weights[labels].sum())

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """Validation reads few nodes: mini-batches."""
        return Evaluation("mini_batch", fanouts, seed)

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """See Task."""
        rows = self._rows[split]
        probabilities = self.probabilities(how.vectors(embedder, self.config.node_type, rows))
        predicted = torch.from_numpy(probabilities.argmax(axis=1))
        return classification_metrics(
            predicted, torch.from_numpy(self.labels[rows].astype(np.int64)), len(self.classes), self.config.metrics
        )

    @torch.inference_mode()
    def probabilities(self, vectors: Vectors) -> Vectors:
        """Vectors [n, D] -> class probabilities [n, C]."""
        self.eval()
        parts = [
            self.head(torch.from_numpy(np.asarray(vectors[i : i + 65536])).to(self.device))
            .float()
            .softmax(1)
            .cpu()
            .numpy()
            for i in range(0, len(vectors), 65536)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes)), dtype=np.float32)


def classification_metrics(
    predicted: Tensor, labels: Tensor, num_classes: int, names: Sequence[str]
) -> dict[str, float]:
    """Metrics by name from class indices [n]; macro_f1 averages over classes seen in either."""
    known = {
        "accuracy": lambda: multiclass_accuracy(predicted, labels, num_classes, average="micro"),
        "macro_f1": lambda: multiclass_f1_score(predicted, labels, num_classes, average="macro"),
    }
    return {name: float(known[name]()) for name in names}
