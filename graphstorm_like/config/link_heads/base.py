"""What scores links."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class LinkHeadConfig(Choice, tag="type"):
    """Both ends' vectors -> the score of a link."""

    type: str
