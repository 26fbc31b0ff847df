"""`task.type: node_regression`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import NodeLabelConfig, NumberLabelConfig


class NodeRegressionConfig(NumberLabelConfig, NodeLabelConfig):
    """Predict a number for each node of one type."""

    type: Literal["node_regression"]
