"""`task.type: node_multi_label`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import ClassesLabelConfig, NodeLabelConfig


class NodeMultiLabelConfig(ClassesLabelConfig, NodeLabelConfig):
    """Predict which classes, any number of them, each node of one type has."""

    type: Literal["node_multi_label"]
