"""What every task has in its configuration."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class TaskConfig(Choice, tag="type"):
    """What is predicted, how it is scored, and which number selects the model."""

    type: str
