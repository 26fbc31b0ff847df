"""What scores links."""

from __future__ import annotations

from typing import ClassVar

from graphstorm_like.config.choice import Choice


class LinkHeadConfig(Choice, tag="type"):
    """Both ends' vectors -> the score of a link."""

    type: str

    inverts: ClassVar[bool] = False
    """Whether the parameters of a relation also score its inverse, so that sources can be ranked."""
    factorizes: ClassVar[bool] = False
    """Whether the score is a product of three factors, whose moduli `task.n3` keeps small."""
