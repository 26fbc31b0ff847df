"""`train.lm.tune.type: lora`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.gnns.base import Dropout
from graphstorm_like.config.tuning.base import TuneConfig


class LoraTuning(TuneConfig):
    """Low-rank updates beside frozen matrices (Hu et al. 2022), by peft. The merged model is saved."""

    packages: ClassVar[Mapping[str, str]] = {"peft": "lora"}
    type: Literal["lora"]
    rank: PositiveInt = 8
    """Of the update; a higher one learns more, and takes more memory."""
    alpha: PositiveFloat = 16.0
    """The update is scaled by alpha / rank."""
    dropout: Dropout = 0.0
    """Of the update's input while it learns."""
    modules: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the linear layers, as peft's target_modules."""
