"""Classes of the nodes of one type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from graphstorm_like.config.tasks.node_classification import NodeClassificationConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.tasks.base import TASKS, NodeClassifier
from graphstorm_like.tasks.labels import NodeLabelTask


@TASKS.register(NodeClassificationConfig)
class NodeClassification(NodeLabelTask):
    """A NodeLabelTask whose target is a class; see NodeClassifier."""

    def __init__(self, config: NodeClassificationConfig, graph: Graph, hidden: int) -> None:
        super().__init__(config, graph, hidden)
        self.label_smoothing = config.loss.smoothing

    @property
    def node_classifier(self) -> NodeClassifier:
        """See Task."""
        return self

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, by index."""
        return self.target.classes

    def training_labels(self) -> tuple[IntArray, IntArray]:
        """See NodeClassifier."""
        rows = self.rows("train")
        return rows, self.labels[rows].astype(np.int64)

    def logits(self, hidden: Tensor) -> Tensor:
        """See NodeClassifier."""
        outputs: Tensor = self.head(hidden)
        return outputs

    def probabilities(self, vectors: Vectors) -> Vectors:
        """See NodeClassifier."""
        return self.predict(vectors)
