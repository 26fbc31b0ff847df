"""`task.type: graph_pretraining`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from graphstorm_like.config.base import Accepts, EdgeType, EdgeTypeField, Name, PositiveInt, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.link_heads import DistMultHeadConfig, LinkHeadConfig
from graphstorm_like.config.link_losses import InfoNceConfig, LinkLossConfig
from graphstorm_like.config.metrics import MetricConfig, MetricsOf, check_metrics
from graphstorm_like.config.negatives import NegativesConfig, UniformNegativesConfig
from graphstorm_like.config.problems import Problem, below, check_original
from graphstorm_like.config.tasks.base import TaskConfig, check_edge_weight, check_selected_part
from graphstorm_like.config.tasks.ranking import RANKING_METRICS, RankingConfig


class SampledRankingConfig(RankingConfig):
    """How held-out edges are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = 1000
    """all nodes of the target type, or this many drawn uniformly per edge."""


def _all_or_list(value: Any) -> Any:
    """'all' means None; a single edge type must be in a list."""
    if isinstance(value, str) and value != "all":
        raise ValueError("must be 'all' or a list of edge types")
    return None if value == "all" else value


def _corrected(value: Any) -> Any:
    """Negatives with popularity_correction, unless it is given."""
    return {"popularity_correction": True, **value} if isinstance(value, dict) else value


class GraphPretrainingConfig(TaskConfig):
    """Tell true edges of many relations from wrong ones: what the language model learns of the graph by (GaLM, Xie et
    al., KDD 2023), before it serves other tasks. Some edges are held out for validation
    and excluded from message passing."""

    ranks_links: ClassVar[bool] = True

    type: Literal["graph_pretraining"]
    edge_types: Annotated[
        Annotated[list[EdgeTypeField], Field(min_length=1)] | None, BeforeValidator(_all_or_list), Accepts(const="all")
    ] = None
    """The relations; 'all' (or null): every one of graph.edges. Reverse types bring nothing new and are not taken."""
    head: LinkHeadConfig = DistMultHeadConfig(type="distmult")
    """How a pair of vectors is scored."""
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    """How true edges are distinguished from wrong ones."""
    edge_weight: Name | None = None
    """A feature of edges, one number of at least 0 an edge (`normalize: none` or `min_max`): a training edge and its
    negatives count as much in the loss, and those of 0 not at all. Edges of types without the feature weigh 1.
    null: all weigh the same."""
    negatives: Annotated[NegativesConfig, BeforeValidator(_corrected)] = UniformNegativesConfig(
        type="uniform", popularity_correction=True
    )
    """The wrong edges: how they are drawn; with popularity_correction, unless it is turned off."""
    max_edges_per_relation: PositiveInt | None = None
    """An epoch takes at most this many edges of a relation, drawn again for each epoch, so that a large relation does
    not drown the small ones."""
    validation_edges: PositiveInt = 1000
    """At most this many edges of a relation, and at most 2 % of them, are held out. A relation with a split column
    holds out its validation and test edges instead."""
    ranking: SampledRankingConfig = SampledRankingConfig()
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("ranks")]], Field(min_length=1)] = RANKING_METRICS
    """Names, or mappings with `type` and settings; `hits@10` is short for `{type: hits, k: 10}`."""
    select_by: str = "mrr"
    """The metric, one of `metrics`, whose mean over relations early stopping and the best checkpoint follow, or that of
    one relation, `mrr/user:buys:item`."""

    _selectable = model_validator(mode="after")(check_metrics)

    @property
    def scores_parts(self) -> bool:
        """See TaskConfig."""
        return True

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return tuple(edge_types if self.edge_types is None else self.edge_types)

    def weighed(self, edge_types: Sequence[EdgeType]) -> list[tuple[str, tuple[EdgeType, ...]]]:
        """See TaskConfig."""
        return [] if self.edge_weight is None else [(self.edge_weight, self.relations(edge_types))]

    def to_apply(self) -> TaskConfig:
        """See TaskConfig."""
        return self.model_copy(update={"edge_weight": None})

    def hidden_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        return {e: None for e in self.relations(list(has_split)) if has_split.get(e)}

    def held_out_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, int]:
        """See TaskConfig."""
        return {e: self.validation_edges for e in self.relations(list(has_split)) if not has_split.get(e)}

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        if not graph.edges:
            yield ("type",), "must have edges to learn from: graph.edges is empty"
        for i, edge_type in enumerate(self.edge_types or ()):
            at = ("edge_types", i)
            yield from check_original(graph, edge_type, at)
            if edge_type in (self.edge_types or ())[:i]:
                yield at, f"must stand in the list once (got '{edge_name(edge_type)}' again)"
        relations = self.relations([edge.edge_type for edge in graph.edges])
        yield from check_selected_part(self.select_by, graph, relations)
        yield from check_edge_weight(self.edge_weight, graph, relations)
        yield from below(("negatives",), self.negatives.check(graph, relations))
