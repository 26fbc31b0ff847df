"""`task.type: edge_classification`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import ClassLabelConfig, EdgeLabelConfig


class EdgeClassificationConfig(ClassLabelConfig, EdgeLabelConfig):
    """Predict a class of each edge of one type."""

    type: Literal["edge_classification"]
