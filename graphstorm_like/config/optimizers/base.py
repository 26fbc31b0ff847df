"""What every optimizer has in its configuration, and the short form: `sgd` for `{type: sgd}`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts
from graphstorm_like.config.choice import Choice


class OptimizerConfig(Choice, tag="type"):
    """How the gradients of dense weights become steps. Learning rates and weight decay are those of `train`."""

    type: str


def _long_form(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


ChosenOptimizer = Annotated[OptimizerConfig, BeforeValidator(_long_form), Accepts("string")]
