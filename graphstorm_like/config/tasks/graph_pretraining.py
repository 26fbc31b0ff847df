"""`task.type: graph_pretraining`"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from graphstorm_like.config.base import Accepts, EdgeTypeField, PositiveInt
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.config.link_heads.distmult import DistMultHeadConfig
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.config.link_losses.info_nce import InfoNceConfig
from graphstorm_like.config.tasks.base import TaskConfig
from graphstorm_like.config.tasks.ranking import NegativesConfig, RankingConfig


class SharedNegativesConfig(NegativesConfig):
    """Where wrong targets come from: the batch's other edges of any relation into the same node type, and uniform ones.
    Known true targets of a relation are masked, not punished."""

    popularity_correction: bool = True
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019)."""


class SampledRankingConfig(RankingConfig):
    """How held-out edges are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = 1000
    """all nodes of the target type, or this many drawn uniformly per edge."""


def _all_or_list(value: Any) -> Any:
    """'all' stands for None; a lone edge type is no list."""
    if isinstance(value, str) and value != "all":
        raise ValueError("must be 'all' or a list of edge types")
    return None if value == "all" else value


class GraphPretrainingConfig(TaskConfig):
    """Tell true edges of many relations from wrong ones: what the language model learns of the graph by (GaLM, Xie et
    al., KDD 2023), before it serves other tasks. Some edges are held out to validate on and are no messages."""

    type: Literal["graph_pretraining"]
    edge_types: Annotated[
        Annotated[list[EdgeTypeField], Field(min_length=1)] | None, BeforeValidator(_all_or_list), Accepts(const="all")
    ] = None
    """The relations; 'all' (or null): every one of graph.edges. Reverse types bring nothing new and are not taken."""
    head: LinkHeadConfig = DistMultHeadConfig(type="distmult")
    """How a pair of vectors is scored."""
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    """How true edges are told from wrong ones."""
    negatives: SharedNegativesConfig = SharedNegativesConfig()
    max_edges_per_relation: PositiveInt | None = None
    """An epoch takes at most this many edges of a relation, drawn anew each epoch, so that a large relation does not
    drown the small ones."""
    validation_edges: PositiveInt = 1000
    """At most this many edges of a relation, and at most 2 % of them, are held out. A relation with a split column
    holds out its validation and test edges instead."""
    ranking: SampledRankingConfig = SampledRankingConfig()
    select_by: Literal["mrr"] = "mrr"
    """The mean over relations."""
