"""`task.type: set_multi_label`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tasks.labels import ClassesLabelConfig
from graphstorm_like.config.tasks.sets import SetLabelConfig


class SetMultiLabelConfig(ClassesLabelConfig, SetLabelConfig):
    """Predict any number of classes of each set of nodes, from the vectors of its members."""

    type: Literal["set_multi_label"]
