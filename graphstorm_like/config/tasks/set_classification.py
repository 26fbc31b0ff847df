"""`task.type: set_classification`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import ClassLabelConfig
from graphstorm_like.config.tasks.sets import SetLabelConfig


class SetClassificationConfig(ClassLabelConfig, SetLabelConfig):
    """Predict a class of each set of nodes, from the vectors of its members."""

    type: Literal["set_classification"]
