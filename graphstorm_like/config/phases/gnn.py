"""`train.phases`, type gnn."""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.phases.base import PhaseConfig


class GnnPhase(PhaseConfig):
    """A fresh graph network on vectors of the language model, which are computed once."""

    type: Literal["gnn"]

    trains_graph: ClassVar[bool] = True
    unread_settings: ClassVar[frozenset[str]] = frozenset({"lm"})
