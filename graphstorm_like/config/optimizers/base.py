"""What every optimizer has in its configuration, and the short form: `sgd` for `{type: sgd}`."""

from __future__ import annotations

from typing import Annotated

from graphstorm_like.config.choice import Choice
from graphstorm_like.config.short_form import ShortForm


class OptimizerConfig(Choice, tag="type"):
    """How the gradients of dense weights become steps. Learning rates and weight decay are those of `train`."""

    type: str


class _Short(ShortForm):
    """An optimizer."""

    family = OptimizerConfig


ChosenOptimizer = Annotated[OptimizerConfig, _Short()]
