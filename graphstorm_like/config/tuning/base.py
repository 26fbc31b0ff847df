"""How a language model is tuned."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class TuneConfig(Choice, tag="type"):
    """Which weights of the language model learn."""

    type: str
