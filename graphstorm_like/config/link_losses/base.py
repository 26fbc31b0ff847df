"""What link prediction minimises."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class LinkLossConfig(Choice, tag="type"):
    """Scores of true links and their negatives -> a loss."""

    type: str
