"""`task.type: edge_regression`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import EdgeLabelConfig, NumberLabelConfig


class EdgeRegressionConfig(NumberLabelConfig, EdgeLabelConfig):
    """Predict a number for each edge of one type."""

    type: Literal["edge_regression"]
