"""How a language model is tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from graphstorm_like.config.choice import Choice


class TuneConfig(Choice, tag="type"):
    """Which weights of the language model learn."""

    packages: ClassVar[Mapping[str, str]] = {}
    """Optional packages that it needs, each with the extra that installs it."""
    type: str
