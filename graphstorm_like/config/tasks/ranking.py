"""What tasks about links share: the candidates to rank among."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt, Strict


class RankingConfig(Strict):
    """How links are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = "all"
    """all nodes of the target type, or this many drawn uniformly per edge."""
    hits: list[PositiveInt] = [1, 10]
    """For each k, the share of edges whose true target is among the first k."""
