"""No graph network."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.gnns.base import GnnConfig


class NoGnnConfig(GnnConfig):
    """No messages: an MLP over each node's own inputs (the text-only baseline)."""

    type: Literal["none"]

    @property
    def hops(self) -> int:
        """None of the layers passes messages."""
        return 0
