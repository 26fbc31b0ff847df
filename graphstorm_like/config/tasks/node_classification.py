"""`task.type: node_classification`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.tasks.labels import ClassLabelConfig, NodeLabelConfig


class NodeClassificationConfig(ClassLabelConfig, NodeLabelConfig):
    """Predict a class of each node of one type."""

    type: Literal["node_classification"]

    classifies_nodes: ClassVar[bool] = True
