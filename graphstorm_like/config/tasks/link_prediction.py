"""`task.type: link_prediction`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.config.link_heads.dot import DotHeadConfig
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.config.link_losses.info_nce import InfoNceConfig
from graphstorm_like.config.metrics import MetricConfig, MetricsOf, check_metrics
from graphstorm_like.config.negatives import NegativesConfig
from graphstorm_like.config.negatives.uniform import UniformNegativesConfig
from graphstorm_like.config.problems import Problem, below, check_original, check_split
from graphstorm_like.config.tasks.base import OneRelationTask
from graphstorm_like.config.tasks.ranking import RANKING_METRICS, RankingConfig


class LinkPredictionConfig(OneRelationTask):
    """Predict the target of an edge of one type."""

    type: Literal["link_prediction"]
    head: LinkHeadConfig = DotHeadConfig(type="dot")
    """How a pair of vectors is scored."""
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    """How true edges are distinguished from wrong ones."""
    negatives: NegativesConfig = UniformNegativesConfig(type="uniform")
    """The wrong edges: how they are drawn."""
    ranking: RankingConfig = RankingConfig()
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("ranks")]], Field(min_length=1)] = RANKING_METRICS
    """Names, or mappings with `type` and settings; `hits@10` is short for `{type: hits, k: 10}`."""
    select_by: str = "mrr"
    """The metric, one of `metrics`, whose validation number early stopping and the best checkpoint follow."""

    _selectable = model_validator(mode="after")(check_metrics)

    def hidden_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        return {self.edge_type: None}

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        at = ("edge_type",)
        yield from check_original(graph, self.edge_type, at)
        edge = graph.edge(self.edge_type)
        if edge is not None and edge.split is None:
            # The edges of a folder that is there already have no entry to add it to.
            fix = f". Add {graph.edge_key(graph.edges.index(edge))}.split" if edge.has_table else ""
            yield at, f"must be an edge type with a split (got '{edge_name(edge.edge_type)}'){fix}"
        elif edge is not None:
            yield from check_split(at, "an edge type", f"{graph.edge_key(graph.edges.index(edge))}.split", edge.split)
        yield from below(("negatives",), self.negatives.check(graph, [self.edge_type]))
