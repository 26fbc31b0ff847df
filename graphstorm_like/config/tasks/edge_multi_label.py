"""`task.type: edge_multi_label`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import ClassesLabelConfig, EdgeLabelConfig


class EdgeMultiLabelConfig(ClassesLabelConfig, EdgeLabelConfig):
    """Predict which classes, any number of them, each edge of one type has."""

    type: Literal["edge_multi_label"]
