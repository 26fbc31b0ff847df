"""What tasks about links share: the candidates to rank among."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt, Strict
from graphstorm_like.config.metrics import MetricConfig
from graphstorm_like.config.metrics.hits import HitsConfig
from graphstorm_like.config.metrics.mrr import MrrConfig

RANKING_METRICS: list[MetricConfig] = [
    MrrConfig(type="mrr"),
    HitsConfig(type="hits", k=1),
    HitsConfig(type="hits", k=10),
]


class RankingConfig(Strict):
    """How links are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = "all"
    """all nodes of the target type, or this many drawn uniformly per edge."""
    exclude_source: bool = True
    """Where both ends are of one node type: whether to leave out the source itself. true suits relations that no
    node has to itself (recommendations, citations); false is the protocol of knowledge graphs, whose numbers are lower,
    for a source is often the likeliest answer."""
