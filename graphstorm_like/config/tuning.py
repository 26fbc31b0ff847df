"""`train.lm.tune`: which weights of the language model learn.

full   all of them: the most accurate with enough rows
top    the topmost layers: less memory and time
lora   low-rank updates: a large language model on one GPU
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.gnns.base import Dropout


class TuneConfig(Choice, tag="type"):
    """Which weights of the language model learn."""

    packages: ClassVar[Mapping[str, str]] = {}
    """Optional packages that it needs, each with the extra that installs it."""
    type: str


class FullTuning(TuneConfig):
    """All weights of the language model learn."""

    type: Literal["full"]


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


class TopTuning(TuneConfig):
    """Only the topmost layers learn: less memory and time, for nothing is propagated below them."""

    type: Literal["top"]
    layers: PositiveInt = 2
    """How many of the topmost layers learn."""
