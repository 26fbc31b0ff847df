"""Parts of the tasks about links: negatives to learn from, candidates to rank among."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import PositiveInt, Strict
from graphstorm_like.config.metrics import MetricConfig
from graphstorm_like.config.metrics.hits import HitsConfig
from graphstorm_like.config.metrics.mrr import MrrConfig

RANKING_METRICS: list[MetricConfig] = [
    MrrConfig(type="mrr"),
    HitsConfig(type="hits", k=1),
    HitsConfig(type="hits", k=10),
]


class NegativesConfig(Strict):
    """Where wrong targets come from. Known true targets among them are masked, not punished."""

    in_batch: bool = True
    """The other edges' targets."""
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly, shared by the batch."""
    popularity_correction: bool = False
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019): without it, in-batch
    negatives teach a model to mark down what is popular. Changes nothing without in_batch."""

    @model_validator(mode="after")
    def _some(self) -> NegativesConfig:
        if not self.in_batch and self.uniform == 0:
            raise ValueError("must have in_batch: true or uniform > 0: without negatives there is nothing to learn")
        return self


class RankingConfig(Strict):
    """How links are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = "all"
    """all nodes of the target type, or this many drawn uniformly per edge."""
    exclude_source: bool = True
    """Where both ends are of one node type: whether the source itself is no candidate. true suits relations that no
    node has to itself (recommendations, citations); false is the protocol of knowledge graphs, whose numbers are lower,
    for a source is often the likeliest answer."""
