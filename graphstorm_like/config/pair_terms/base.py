"""What is added to the scores of pairs."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class PairTermConfig(Choice, tag="type"):
    """Facts about two nodes together, which their vectors cannot know of each other."""

    type: str
