"""`task.type: link_prediction`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import EdgeTypeField
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.config.link_heads.dot import DotHeadConfig
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.config.link_losses.info_nce import InfoNceConfig
from graphstorm_like.config.tasks.base import TaskConfig
from graphstorm_like.config.tasks.ranking import NegativesConfig, RankingConfig


class LinkPredictionConfig(TaskConfig):
    """Predict the target of an edge of one type."""

    type: Literal["link_prediction"]
    edge_type: EdgeTypeField
    """The edge type that the task is about, 'source:relation:target'; one of graph.edges."""
    head: LinkHeadConfig = DotHeadConfig(type="dot")
    """How a pair of vectors is scored."""
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    """How true edges are told from wrong ones."""
    negatives: NegativesConfig = NegativesConfig()
    ranking: RankingConfig = RankingConfig()
    select_by: Literal["mrr"] = "mrr"
    """The validation number that early stopping and the best checkpoint follow."""
