"""`task.type: set_regression`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import NumberLabelConfig
from graphstorm_like.config.tasks.sets import SetLabelConfig


class SetRegressionConfig(NumberLabelConfig, SetLabelConfig):
    """Predict a number of each set of nodes, from the vectors of its members."""

    type: Literal["set_regression"]
