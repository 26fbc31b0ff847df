"""Classes of the nodes of one type."""

from __future__ import annotations

from graphstorm_like.config.tasks.node_classification import NodeClassificationConfig
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.tasks.labels import NodeLabelTask
from graphstorm_like.tasks.targets import ClassTarget


class NodeClassification(NodeLabelTask):
    """A NodeLabelTask whose target is a class."""

    config: NodeClassificationConfig

    @property
    def classes(self) -> list[str]:
        """Names of the classes, by index."""
        assert isinstance(self.target, ClassTarget)
        return self.target.classes

    def probabilities(self, vectors: Vectors) -> Vectors:
        """Vectors [n, D] -> class probabilities [n, C]."""
        return self.predict(vectors)
